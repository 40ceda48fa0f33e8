// The command line of potluck-gpu-check says these.
#pragma once

#include <cstdint>
#include <string>

namespace potluck {

struct CheckOptions {
  std::string device = "all";  // "cuda:0", "cuda:0,hip:1", "emulated:cuda", "all"
  std::string only;            // parts, with commas between them; empty: all
  std::string json;            // the file to write; empty: none
  std::string golden;          // the folder of the recorded traces
  bool quick = false;
  double seconds = 480;  // after which nothing further begins
  uint32_t seed = 0;     // of fresh draws
  bool help = false;
};

// Throws Fault{input}.
CheckOptions read_options(int count, char** words);

// The text of --help.
const char* usage();

}  // namespace potluck
