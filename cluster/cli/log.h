// What a person may want to know beside the answer: to stderr, and with times to a file.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace potluck {

struct LogOptions {
  bool verbose = false;
  std::string file;
  bool quiet = false;  // people are told nothing
};

void add_log_flags(CLI::App* command, LogOptions& options);
// After this spdlog's default logger is ours: info for people, debug only with -v. A file has both,
// and trace. Throws Fault{input} when the file cannot be written.
void set_up_log(const LogOptions& options);

}  // namespace potluck
