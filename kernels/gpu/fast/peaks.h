// These kernels measure what a card can do at most: reading and copying memory, and products on its
// matrix units or, where it has none, by the instructions that stand in for them.
#pragma once

#include <cstdint>

namespace potluck::gpu {

inline constexpr int kPeakThreads = 256;
// A block copies so many words of 16 bytes, and a slice has a multiple of them.
inline constexpr int kPeakWords = 4 * kPeakThreads;

// Reads memory in slices: block b reads slice (b + i · step) % slices for i < passes, and writes
// the exclusive or of a thread's words to out[b · kPeakThreads + thread]. The grid is free.
struct PeakRead {
  const uint8_t* from;  // [slices, slice_words] words of 16 bytes
  int64_t slice_words;  // a multiple of kPeakWords
  int32_t slices, step, passes;
  uint32_t* out;
};

// Copies kPeakWords words of 16 bytes a block: the grid is words / kPeakWords.
struct PeakCopy {
  const uint8_t* from;
  uint8_t* to;
};

// Multiplies `rounds` times what lies in registers; the grid is free. A block's multiplications and
// additions are counted in operations[0], and out[b · kPeakThreads + thread] has its sums.
struct PeakF16 {
  float* out;
  int64_t* operations;
  int32_t rounds;
};
struct PeakS8 {
  int32_t* out;
  int64_t* operations;
  int32_t rounds;
};

}  // namespace potluck::gpu
