// How the lanes of a warp touch memory together: 32-byte sectors of global memory beside the fewest
// that would hold as many bytes, and the waves that the banks of shared memory take beside the
// fewest. Objects that the compiler instruments as for TSan say what is touched; without such
// objects nothing is counted.
//
// Lanes that meet come from the same meeting before: the n-th touch at a place in the code since
// then is one access of all lanes that made it.
//
// A program that is linked with this writes the counts of all kernels to the file that
// POTLUCK_ACCESSES names when it ends: a line "kernel global sectors least shared waves least".
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "tests/emulator/warp.h"

namespace potluck::emulator {

struct AccessCounts {
  int64_t global = 0, sectors = 0, sectors_least = 0;
  int64_t shared = 0, waves = 0, waves_least = 0;
};

// One access of a lane.
struct Touch {
  const void* site;
  uint64_t address;
  uint32_t bytes;
  bool in_shared;
};

// The touches are those of one access.
AccessCounts counts_of(const std::vector<Touch>& touches);

// It counts for one host thread.
class Accesses final {
 public:
  Accesses() = default;
  ~Accesses();
  Accesses(const Accesses&) = delete;
  Accesses& operator=(const Accesses&) = delete;

  // The running thread of the machine touches memory that is neither its stack nor its operands.
  void touch(const void* site, const void* address, uint32_t bytes);
  // A thread of a group of so many lanes comes to a meeting of its warp or block, or ends.
  void arrive(const char* kernel, const void* group, int lanes);

  const std::map<std::string, AccessCounts>& kernels() const { return kernels_; }

 private:
  struct Group {
    std::array<std::vector<Touch>, kLanes> touches;
    int arrived = 0;
  };

  void add(const char* kernel, Group& group);

  std::unordered_map<const void*, Group> groups_;
  std::map<std::string, AccessCounts> kernels_;
};

// The calling host thread's.
Accesses& accesses();

}  // namespace potluck::emulator
