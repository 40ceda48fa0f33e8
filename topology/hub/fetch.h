// Fetches bytes over a line that breaks: each break is followed by another try from where it
// happened.
#pragma once

#include <functional>
#include <string>

#include "topology/hub/model_files.h"

namespace potluck {

inline constexpr int kTriesMax = 6;  // in a row that bring nothing
inline constexpr Duration kFirstWait = std::chrono::milliseconds(200);  // doubles with each try
inline constexpr Duration kLongestWait = std::chrono::seconds(120);     // that a server may ask for

struct FetchWatch {
  std::function<bool()> stopped;                 // asked often; true ends the work
  std::function<void(const std::string&)> note;  // a line for the person
  std::function<void(uint64_t bytes)> expected;  // how many more there are to come
  std::function<void(uint64_t bytes)> arrived;   // that so many came
};

// Counts tries that bring nothing, and waits between them.
class Tries final {
 public:
  Tries(const FetchWatch& watch, std::string what);
  void progressed() { failed_ = 0; }
  // Waits for the next try. Throws Fault{world} after kTriesMax in a row, and Fault{canceled}.
  void failed(const ReadEnd& end);

 private:
  const FetchWatch& watch_;
  std::string what_;
  int failed_ = 0;
};

void check_not_stopped(const FetchWatch& watch);  // throws Fault{canceled}
// All of the range goes to sink, in order and once.
void fetch_range(ModelFiles& from, size_t file, ByteRange range, const FetchWatch& watch,
                 const ByteSink& sink);

}  // namespace potluck
