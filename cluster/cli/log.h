// The log holds what a person may want to know beside the answer. It goes to stderr, and with times
// to a file.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace potluck {

struct LogOptions {
  bool verbose = false;
  std::string file;
  bool quiet = false;  // nothing goes to stderr
};

void add_log_flags(CLI::App* command, LogOptions& options);
// Makes spdlog's default logger: stderr gets info, and debug with -v; a file gets all, trace
// included. No line drives a terminal (utf8.h: harmless()); whoever logs a prompt does so with -v
// alone. The file is its owner's alone (0600). Throws Fault{input} when it cannot be written, or is
// there already and no log.
void set_up_log(const LogOptions& options);

}  // namespace potluck
