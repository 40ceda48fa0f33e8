// The shared memory of a block: arrays that kernels name, with red zones between them, in memory
// that holds nonsense until it is written and that moves from block to block.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/emulator/warp.h"
#include "tests/kernels/gpu/random.h"

namespace potluck::emulator {

// A block may have this much without asking for more, on every card.
inline constexpr size_t kSharedBytesMax = 48 << 10;

class SharedMemory final {
 public:
  SharedMemory();

  // A block begins. An even seed fills arrays with NaNs (of f32, f16 and bf16), an odd one with
  // random bits. Returns what is wrong: the memory that an earlier block had was written since.
  std::string open(uint64_t seed, Random& random);
  // The block's array for this place in the code. Throws std::logic_error past kSharedBytesMax.
  void* array(const SharedArray& what);
  // Whether `bytes` from `at` on lie in one array.
  bool holds(const void* at, size_t bytes) const;
  // Names the arrays whose red zones were written; empty: none was.
  std::string overrun() const;
  // The block has ended.
  void close();

 private:
  static constexpr size_t kZone = 128;   // bytes before and after each array
  static constexpr size_t kAlign = 128;  // of arrays and zones
  static constexpr size_t kArraysMax = 64;
  static constexpr size_t kShifts = 16;  // a block's first array lies at one of these places
  static constexpr size_t kRegionBytes =
      kSharedBytesMax + kArraysMax * (2 * kZone + kAlign) + kShifts * kAlign;

  struct alignas(kAlign) Region {
    std::byte memory[kRegionBytes];
    size_t used = 0;  // by the block that ended in it
  };
  struct Placed {
    const SharedArray* what;
    std::byte* at;
  };

  void fill_unwritten(std::byte* from, size_t bytes);

  std::unique_ptr<std::array<Region, 2>> regions_;  // blocks take turns in them
  Region* region_ = nullptr;
  size_t end_ = 0;    // of what is placed so far
  size_t bytes_ = 0;  // asked for so far
  bool fills_with_nan_ = true;
  Random fill_{0};
  std::vector<Placed> arrays_;
};

}  // namespace potluck::emulator
