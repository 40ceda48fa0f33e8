// Sets up spdlog: lines for people go to stderr, and everything to a file if one is named.
#include "cluster/cli/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <mutex>
#include <vector>

#include "cluster/cli/flag_checks.h"
#include "topology/base/fault.h"

namespace potluck {
namespace {

spdlog::sink_ptr file_sink(const std::string& file) {
  const std::filesystem::path folder = std::filesystem::path(file).parent_path();
  try {
    // spdlog would make the folder.
    if (!folder.empty() && !std::filesystem::is_directory(folder))
      throw spdlog::spdlog_ex("there is no folder " + folder.string());
    const auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(file);
    sink->set_pattern("%Y-%m-%d %H:%M:%S.%e %l %v");
    return sink;
  } catch (const std::exception& error) {
    throw Fault(FaultKind::input, "--log-file " + file + " cannot be written (" + error.what() +
                                      "); name a file in a folder that you own");
  }
}

// A log that cannot be written costs one line on stderr, and not the answer.
void warn_once(const std::string& error) {
  static std::once_flag warned;
  std::call_once(warned, [&error] {
    std::fprintf(stderr, "potluck: the log cannot be written (%s); the rest of it may be missing\n",
                 error.c_str());
  });
}

}  // namespace

void add_log_flags(CLI::App* command, LogOptions& options) {
  command->add_flag("-v,--verbose", options.verbose, "say more on stderr");
  file_name(command->add_option("--log-file", options.file,
                                "write the log to this file too, with times"));
}

void set_up_log(const LogOptions& options) {
  const auto people = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  people->set_pattern("%v");
  people->set_level(options.quiet     ? spdlog::level::off
                    : options.verbose ? spdlog::level::debug
                                      : spdlog::level::info);
  std::vector<spdlog::sink_ptr> sinks = {people};
  if (!options.file.empty()) sinks.push_back(file_sink(options.file));
  const auto logger = std::make_shared<spdlog::logger>("potluck", sinks.begin(), sinks.end());
  logger->set_level(options.file.empty() ? people->level() : spdlog::level::trace);
  logger->set_error_handler(warn_once);
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(logger);
}

}  // namespace potluck
