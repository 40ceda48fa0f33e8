// Loads the bytes of stored blocks and takes numbers out of them.
#pragma once

#include "kernels/gpu/device/gpu.h"

namespace potluck::gpu {

// A run is kRun consecutive values of a row, 8 or 16, that begin at a multiple of kRun: it lies
// within half a block of 32 and shares its scales.

// The bytes at p, which is aligned to kAlign bytes, four to a word.
template <int kRun, int kAlign>
GPU_DEVICE void load_bytes(const uint8_t* p, uint32_t (&words)[kRun / 4]) {
  GPU_UNROLL
  for (int i = 0; i < kRun / 4; ++i) {
    if constexpr (kAlign >= 4)
      words[i] = as<const uint32_t>(p)[i];
    else
      words[i] = as<const uint16_t>(p)[2 * i] | uint32_t{as<const uint16_t>(p)[2 * i + 1]} << 16;
  }
}

// Byte i of the words, and the nibble of it that begins at bit `shift`.
template <int kWords>
GPU_DEVICE int byte_of(const uint32_t (&words)[kWords], int i) {
  return (words[i / 4] >> (i % 4 * 8)) & 255;
}
template <int kWords>
GPU_DEVICE int nibble_of(const uint32_t (&words)[kWords], int i, int shift) {
  return (words[i / 4] >> (i % 4 * 8 + shift)) & 15;
}

GPU_DEVICE float load_f16(const uint8_t* p) {
  return f16_to_float(*as<const uint16_t>(p));
}

}  // namespace potluck::gpu
