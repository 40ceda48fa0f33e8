#include "cluster/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <filesystem>
#include <memory>
#include <vector>

#include "topology/fault.h"

namespace potluck {

void add_log_flags(CLI::App* command, LogOptions& options) {
  command->add_flag("-v,--verbose", options.verbose, "say more on stderr");
  command->add_option("--log-file", options.file, "write the log there too, with times");
}

void set_up_log(const LogOptions& options) {
  const auto people = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  people->set_pattern("%v");
  people->set_level(options.verbose ? spdlog::level::debug : spdlog::level::info);
  std::vector<spdlog::sink_ptr> sinks = {people};
  try {
    if (!options.file.empty()) {
      const auto folder = std::filesystem::absolute(options.file).parent_path();
      if (!std::filesystem::is_directory(folder)) throw spdlog::spdlog_ex("no such folder");
      sinks.push_back(std::make_shared<spdlog::sinks::basic_file_sink_mt>(options.file));
      sinks.back()->set_pattern("%Y-%m-%d %H:%M:%S.%e %l %v");
    }
  } catch (const spdlog::spdlog_ex& error) {
    throw Fault(FaultKind::input, "--log-file " + options.file + " cannot be written (" +
                                      error.what() + "); name a file in a folder that you own");
  }
  const auto logger = std::make_shared<spdlog::logger>("potluck", sinks.begin(), sinks.end());
  logger->set_level(spdlog::level::debug);
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(logger);
}

}  // namespace potluck
