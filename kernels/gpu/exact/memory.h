// Filling and copying memory, and weights that are drawn where no file is at hand.
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

// Weights are drawn as one of these.
enum class DrawnAs : int32_t { blocks, f16, bf16 };

inline constexpr int kDrawThreads = 256, kDrawBytes = 16;

// Draws `count` bytes of weights that begin at byte `first` of their tensor: blocks of random bits,
// but for the f16 scales of each, which are scale · [0.5, 1); or values in f16 or bf16, uniform in
// scale · [-1, 1). A byte depends on the key and on its place in the tensor. A thread has
// kDrawBytes at a multiple of them: the grid is ⌈⌈(first % kDrawBytes + count) / kDrawBytes⌉ /
// kDrawThreads⌉.
struct Draw {
  uint8_t* to;           // aligned to 2, as are first and count
  int64_t first, count;  // bytes
  uint64_t key;
  float scale;
  DrawnAs as;
  int32_t block_bytes;  // even, and at least kDrawBytes; of blocks only
  int32_t scale_at[2];  // where a block has scales, in bytes; -1: no more
};

}  // namespace potluck::gpu
