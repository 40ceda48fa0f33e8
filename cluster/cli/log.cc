// Sets up spdlog: lines for people go to stderr, and everything to a file if one is named.
#include "cluster/cli/log.h"

#include <fcntl.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "cluster/cli/flag_checks.h"
#include "topology/base/fault.h"
#include "topology/base/utf8.h"

namespace potluck {
namespace {

// Writes a pattern, whatever a line quotes, as text that drives no terminal.
class HarmlessFormatter final : public spdlog::formatter {
 public:
  explicit HarmlessFormatter(const std::string& pattern) : text_(pattern), pattern_(pattern) {}
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    const std::string payload = harmless({message.payload.data(), message.payload.size()});
    spdlog::details::log_msg clean = message;
    clean.payload = payload;
    pattern_.format(clean, out);
  }
  std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<HarmlessFormatter>(text_);
  }

 private:
  const std::string text_;
  spdlog::pattern_formatter pattern_;
};

constexpr char kFileLine[] = "%Y-%m-%d %H:%M:%S.%e %l %v";

// True for the beginning of what kFileLine writes.
bool begins_log(std::string_view text) {
  constexpr std::string_view kForm = "0000-00-00 00:00:00.000 ";
  const auto fits = [](char form, char c) {
    return form == '0' ? c >= '0' && c <= '9' : c == form;
  };
  return std::equal(kForm.begin(), kForm.end(), text.begin(), text.end(), fits);
}

// Makes the file for its owner alone. A file that is there already must be a log, and becomes its
// owner's alone, too.
void claim(const std::string& file) {
  const int mode = O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  const int descriptor = open(file.c_str(), mode, S_IRUSR | S_IWUSR);
  if (descriptor < 0) throw spdlog::spdlog_ex(std::strerror(errno));
  const std::shared_ptr<void> closed(nullptr, [descriptor](void*) { close(descriptor); });
  struct stat status = {};
  if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) return;
  char beginning[24];
  const ssize_t n = pread(descriptor, beginning, sizeof(beginning), 0);
  if (n != 0 && !begins_log({beginning, static_cast<size_t>(std::max<ssize_t>(n, 0))}))
    throw spdlog::spdlog_ex("it is there already and no log of potluck");
  fchmod(descriptor, S_IRUSR | S_IWUSR);
}

spdlog::sink_ptr file_sink(const std::string& file) {
  try {
    claim(file);
    const auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(file);
    sink->set_formatter(std::make_unique<HarmlessFormatter>(kFileLine));
    return sink;
  } catch (const std::exception& error) {
    throw Fault(FaultKind::input, "--log-file " + file + " cannot be written (" + error.what() +
                                      "); name a new file in a folder that you own");
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
                                "write the log to this file too, with times (prompts with -v)"));
}

void set_up_log(const LogOptions& options) {
  const auto people = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  people->set_formatter(std::make_unique<HarmlessFormatter>("%v"));
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
