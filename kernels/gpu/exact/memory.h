// Filling and copying memory.
#pragma once

#include <cstdint>

namespace potluck::gpu {

// A block takes kFillWords words or kCopyBytes bytes: the grid is ⌈count / …⌉.
inline constexpr int kFillWords = 256, kCopyBytes = 4096;

// to[i] = word, i < count.
struct Fill {
  uint32_t* to;
  int64_t count;
  uint32_t word;
};

// to[i] = from[i], i < count; the two ranges do not overlap.
struct Copy {
  const uint8_t* from;
  uint8_t* to;
  int64_t count;
};

}  // namespace potluck::gpu
