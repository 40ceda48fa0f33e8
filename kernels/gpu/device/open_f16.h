// Opens stored values as f16, rounded once: the bits are those of dequantize.h's values rounded to
// f16, by fewer instructions where a value is a product of a scale in f16 and a whole number.
#pragma once

#include "kernels/gpu/device/dequantize.h"

namespace potluck::gpu {

// Eight values of f16, two a word.
using F16Run = Words4;

// scale · (byte − offset) of four bytes from word 2·i of the run on. `offsets` is 1,024 + the
// offset as two values of f16.
GPU_DEVICE void put_scaled(uint32_t scales, uint32_t bytes, uint32_t offsets, int i, F16Run& run) {
  GPU_UNROLL
  for (int pair = 0; pair < 2; ++pair)
    run.word[2 * i + pair] =
        multiply_f16x2(scales, subtract_f16x2(bytes_to_f16x2(bytes, pair), offsets));
}

// The block of 32 columns, `bytes` long, that has value `first`; a row is shorter than 2³² bytes.
GPU_DEVICE const uint8_t* block_of(const uint8_t* row, uint32_t first, int bytes) {
  return row + first / 32 * bytes;
}

GPU_DEVICE uint32_t load_f16x2(const uint8_t* p) {
  return *as<const uint16_t>(p) * 0x10001u;
}

// Bytes are those of int8 + 128.
GPU_DEVICE void open_f16_q8_0(const uint8_t* row, uint32_t first, F16Run (&runs)[2]) {
  const uint8_t* b = block_of(row, first, 34);
  uint32_t q[4];
  load_bytes<16, 2>(b + 2 + first % 32, q);
  GPU_UNROLL
  for (int i = 0; i < 4; ++i)
    put_scaled(load_f16x2(b), q[i] ^ 0x80808080u, 0x64806480u, i % 2, runs[i / 2]);
}

GPU_DEVICE void open_f16_q4_0(const uint8_t* row, uint32_t first, F16Run (&runs)[2]) {
  const uint8_t* b = block_of(row, first, 18);
  const int shift = first % 32 / 16 * 4;
  uint32_t q[4];
  load_bytes<16, 2>(b + 2, q);
  GPU_UNROLL
  for (int i = 0; i < 4; ++i)
    put_scaled(load_f16x2(b), q[i] >> shift & 0x0f0f0f0fu, 0x64086408u, i % 2, runs[i / 2]);
}

// 16 values from a multiple of 16 on, as open_run() opens them. Rows of blocks end with one, so
// `first` lies before their end.
GPU_DEVICE void open_f16_run(Stored type, const uint8_t* row, int64_t first, int64_t columns,
                             F16Run (&runs)[2]) {
  const bool whole = type == Stored::q8_0 || type == Stored::q4_0;
  if (kHasMma && whole) {
    if (type == Stored::q8_0)
      open_f16_q8_0(row, first, runs);
    else
      open_f16_q4_0(row, first, runs);
    return;
  }
  float values[16];
  open_run(type, row, first, columns, values);
  GPU_UNROLL
  for (int i = 0; i < 8; ++i) runs[i / 4].word[i % 4] = pack_f16(values[2 * i], values[2 * i + 1]);
}

}  // namespace potluck::gpu
