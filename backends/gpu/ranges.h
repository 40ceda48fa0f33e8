// Ranges: names for stretches of a thread's time, which a vendor's profiler shows beside what the
// card does: NVTX for Nsight Systems, rocTX for rocprof.
#pragma once

#include <memory>
#include <string>

#include "topology/base/shared_library.h"

namespace potluck {

class Ranges final {
 public:
  // device: "cuda:0", "hip:1". Throws Fault{world} if the library of its profiler is not installed.
  explicit Ranges(const std::string& device);

  void begin(const char* name) const { begin_(name); }
  void end() const { end_(); }

 private:
  std::unique_ptr<SharedLibrary> library_;
  int (*begin_)(const char* name) = nullptr;
  int (*end_)() = nullptr;
};

// A range from here to the end of its block; nothing where no ranges are wanted.
class Range final {
 public:
  Range(const Ranges* ranges, const char* name) : ranges_(ranges) {
    if (ranges_) ranges_->begin(name);
  }
  ~Range() {
    if (ranges_) ranges_->end();
  }
  Range(const Range&) = delete;
  Range& operator=(const Range&) = delete;

 private:
  const Ranges* ranges_;
};

}  // namespace potluck
