// Opens stored values, bit for bit as kernels/cpu/reference/dequantize.cc, which describes each
// format. Every product of a scale and a level fits an f32 exactly, so contraction changes nothing.
#pragma once

#include "kernels/gpu/device/load_stored.h"
#include "kernels/gpu/device/low_bit.h"
#include "kernels/gpu/device/stored.h"

namespace potluck::gpu {

// 34 B: f16 d, 32 × int8 q.
template <int kRun>
GPU_DEVICE void open_q8_0(const uint8_t* row, int64_t first, float (&x)[kRun]) {
  const uint8_t* b = row + first / 32 * 34;
  const float d = load_f16(b);
  uint32_t q[kRun / 4];
  load_bytes<kRun, 2>(b + 2 + first % 32, q);
  GPU_UNROLL
  for (int i = 0; i < kRun; ++i) x[i] = d * static_cast<int8_t>(byte_of(q, i));
}

// 18 B: f16 d, 16 B of nibbles, low ones first.
template <int kRun>
GPU_DEVICE void open_q4_0(const uint8_t* row, int64_t first, float (&x)[kRun]) {
  const uint8_t* b = row + first / 32 * 18;
  const float d = load_f16(b);
  const int shift = first % 32 / 16 * 4;
  uint32_t q[kRun / 4];
  load_bytes<kRun, 2>(b + 2 + first % 16, q);
  GPU_UNROLL
  for (int i = 0; i < kRun; ++i) x[i] = d * (nibble_of(q, i, shift) - 8);
}

// 20 B: f16 d, f16 m, nibbles.
template <int kRun>
GPU_DEVICE void open_q4_1(const uint8_t* row, int64_t first, float (&x)[kRun]) {
  const uint8_t* b = row + first / 32 * 20;
  const float d = load_f16(b), m = load_f16(b + 2);
  const int shift = first % 32 / 16 * 4;
  uint32_t q[kRun / 4];
  load_bytes<kRun, 4>(b + 4 + first % 16, q);
  GPU_UNROLL
  for (int i = 0; i < kRun; ++i) x[i] = d * nibble_of(q, i, shift) + m;
}

// 22 B: f16 d, 4 B of fifth bits, nibbles.
template <int kRun>
GPU_DEVICE void open_q5_0(const uint8_t* row, int64_t first, float (&x)[kRun]) {
  const uint8_t* b = row + first / 32 * 22;
  const float d = load_f16(b);
  const int shift = first % 32 / 16 * 4;
  uint32_t q[kRun / 4], fifth[1];
  load_bytes<4, 2>(b + 2, fifth);
  load_bytes<kRun, 2>(b + 6 + first % 16, q);
  const uint32_t bits = fifth[0] >> (first % 32);
  GPU_UNROLL
  for (int i = 0; i < kRun; ++i)
    x[i] = d * ((nibble_of(q, i, shift) | static_cast<int>((bits >> i & 1) << 4)) - 16);
}

// 24 B: f16 d, f16 m, 4 B of fifth bits, nibbles.
template <int kRun>
GPU_DEVICE void open_q5_1(const uint8_t* row, int64_t first, float (&x)[kRun]) {
  const uint8_t* b = row + first / 32 * 24;
  const float d = load_f16(b), m = load_f16(b + 2);
  const int shift = first % 32 / 16 * 4;
  uint32_t q[kRun / 4], fifth[1];
  load_bytes<4, 4>(b + 4, fifth);
  load_bytes<kRun, 4>(b + 8 + first % 16, q);
  const uint32_t bits = fifth[0] >> (first % 32);
  GPU_UNROLL
  for (int i = 0; i < kRun; ++i)
    x[i] = d * (nibble_of(q, i, shift) | static_cast<int>((bits >> i & 1) << 4)) + m;
}

// Level q of the 16 of iq4_nl.
GPU_DEVICE int iq4_level(int q) {
  // −127 −104 −83 −65, −49 −35 −22 −10, 1 13 25 38, 53 69 89 113, a byte each, the first lowest.
  const uint32_t low = q & 4 ? 0xf6eaddcfu : 0xbfad9881u, high = q & 4 ? 0x71594535u : 0x26190d01u;
  return static_cast<int8_t>((q & 8 ? high : low) >> (q % 4 * 8));
}

// 18 B: f16 d, nibbles that number levels.
template <int kRun>
GPU_DEVICE void open_iq4_nl(const uint8_t* row, int64_t first, float (&x)[kRun]) {
  const uint8_t* b = row + first / 32 * 18;
  const float d = load_f16(b);
  const int shift = first % 32 / 16 * 4;
  uint32_t q[kRun / 4];
  load_bytes<kRun, 2>(b + 2 + first % 16, q);
  GPU_UNROLL
  for (int i = 0; i < kRun; ++i) x[i] = d * iq4_level(nibble_of(q, i, shift));
}

// 136 B: f16 d, eight times 2 high bits of a scale, 4 B of nibbles of scales, 128 B of nibbles that
// number levels.
template <int kRun>
GPU_DEVICE void open_iq4_xs(const uint8_t* row, int64_t first, float (&x)[kRun]) {
  const uint8_t* b = row + first / 256 * 136;
  const int g = first % 256 / 32;
  const int low = b[4 + g / 2] >> (g % 2 * 4) & 15,
            high = *as<const uint16_t>(b + 2) >> (2 * g) & 3;
  const float scale = load_f16(b) * ((low | high << 4) - 32);
  const int shift = first % 32 / 16 * 4;
  uint32_t q[kRun / 4];
  load_bytes<kRun, 4>(b + 8 + 16 * g + first % 16, q);
  GPU_UNROLL
  for (int i = 0; i < kRun; ++i) x[i] = scale * iq4_level(nibble_of(q, i, shift));
}

// 84 B: 16 B of nibbles, a scale and a min of 16 values, 64 B of pairs, f16 d, f16 m.
template <int kRun>
GPU_DEVICE void open_q2_k(const uint8_t* row, int64_t first, float (&x)[kRun]) {
  const uint8_t* b = row + first / 256 * 84;
  const int at = first % 256, s = b[at / 16];
  const float scale = load_f16(b + 80) * (s & 15), min = load_f16(b + 82) * (s >> 4);
  uint32_t q[kRun / 4];
  load_bytes<kRun, 4>(b + 16 + at / 128 * 32 + at % 32, q);
  GPU_UNROLL
  for (int i = 0; i < kRun; ++i) x[i] = scale * (byte_of(q, i) >> (at % 128 / 32 * 2) & 3) - min;
}

// The scale of group g of q3_k, of 6 bits, out of 12 bytes.
GPU_DEVICE int q3_k_scale(const uint8_t* s, int g) {
  const int low = s[g % 8] >> (g / 8 * 4) & 15, high = s[8 + g % 4] >> (g / 4 * 2) & 3;
  return (low | high << 4) - 32;
}

// 110 B: 32 B of third bits, bit g of byte l, 64 B of pairs, 12 B of scales, f16 d.
template <int kRun>
GPU_DEVICE void open_q3_k(const uint8_t* row, int64_t first, float (&x)[kRun]) {
  const uint8_t* b = row + first / 256 * 110;
  const int at = first % 256, g = at / 32;
  const float scale = load_f16(b + 108) * q3_k_scale(b + 96, at / 16);
  uint32_t third[kRun / 4], q[kRun / 4];
  load_bytes<kRun, 2>(b + at % 32, third);
  load_bytes<kRun, 2>(b + 32 + g / 4 * 32 + at % 32, q);
  GPU_UNROLL
  for (int i = 0; i < kRun; ++i)
    x[i] = scale * ((byte_of(q, i) >> (g % 4 * 2) & 3) - (byte_of(third, i) >> g & 1 ? 0 : 4));
}

struct ScaleMin {
  int scale, min;
};

// The 6-bit scale and min of group g of q4_k and q5_k, out of 12 bytes.
GPU_DEVICE ScaleMin scale_min(const uint8_t* s, int g) {
  if (g < 4) return {s[g] & 63, s[g + 4] & 63};
  return {(s[g + 4] & 15) | (s[g - 4] >> 6 << 4), (s[g + 4] >> 4) | (s[g] >> 6 << 4)};
}

// 144 B: f16 d, f16 m, 12 B of scales and mins, 128 B of nibbles.
template <int kRun>
GPU_DEVICE void open_q4_k(const uint8_t* row, int64_t first, float (&x)[kRun]) {
  const uint8_t* b = row + first / 256 * 144;
  const int g = first % 256 / 32;
  const ScaleMin s = scale_min(b + 4, g);
  const float scale = load_f16(b) * s.scale, min = load_f16(b + 2) * s.min;
  uint32_t q[kRun / 4];
  load_bytes<kRun, 4>(b + 16 + 32 * (g / 2) + first % 32, q);
  GPU_UNROLL
  for (int i = 0; i < kRun; ++i) x[i] = scale * nibble_of(q, i, g % 2 * 4) - min;
}

// q4_k with 32 B of fifth bits between scales and nibbles: bit g of byte l.  176 B.
template <int kRun>
GPU_DEVICE void open_q5_k(const uint8_t* row, int64_t first, float (&x)[kRun]) {
  const uint8_t* b = row + first / 256 * 176;
  const int g = first % 256 / 32;
  const ScaleMin s = scale_min(b + 4, g);
  const float scale = load_f16(b) * s.scale, min = load_f16(b + 2) * s.min;
  uint32_t q[kRun / 4], fifth[kRun / 4];
  load_bytes<kRun, 4>(b + 16 + first % 32, fifth);
  load_bytes<kRun, 4>(b + 48 + 32 * (g / 2) + first % 32, q);
  GPU_UNROLL
  for (int i = 0; i < kRun; ++i)
    x[i] = scale * (nibble_of(q, i, g % 2 * 4) | (byte_of(fifth, i) >> g & 1) << 4) - min;
}

// 210 B: 128 B low nibbles, 64 B high pairs, 16 int8 scales, f16 d.
template <int kRun>
GPU_DEVICE void open_q6_k(const uint8_t* row, int64_t first, float (&x)[kRun]) {
  const uint8_t* b = row + first / 256 * 210;
  const int at = first % 256, half = at / 128, part = at % 128 / 32;
  const float scale = load_f16(b + 208) * static_cast<int8_t>(b[192 + at / 16]);
  uint32_t low[kRun / 4], high[kRun / 4];
  load_bytes<kRun, 2>(b + 64 * half + 32 * (part % 2) + at % 32, low);
  load_bytes<kRun, 2>(b + 128 + 32 * half + at % 32, high);
  GPU_UNROLL
  for (int i = 0; i < kRun; ++i)
    x[i] = scale *
           ((nibble_of(low, i, part / 2 * 4) | (byte_of(high, i) >> (2 * part) & 3) << 4) - 32);
}

// Values of a row without blocks; those at `columns` and after it are 0.
template <Stored kType, int kRun>
GPU_DEVICE void open_plain(const uint8_t* row, int64_t first, int64_t columns, float (&x)[kRun]) {
  GPU_UNROLL
  for (int i = 0; i < kRun; ++i) {
    const int64_t at = first + i;
    if (at >= columns)
      x[i] = 0;
    else if constexpr (kType == Stored::f32)
      x[i] = as<const float>(row)[at];
    else if constexpr (kType == Stored::f16)
      x[i] = load_f16(row + at * 2);
    else
      x[i] = float_of(uint32_t{as<const uint16_t>(row)[at]} << 16);
  }
}

// x[i] = the value first + i of the row of `columns` stored values that begins at `row`; 0 from
// `columns` on.
template <int kRun>
GPU_DEVICE void open_run(Stored type, const uint8_t* row, int64_t first, int64_t columns,
                         float (&x)[kRun]) {
  switch (type) {
    case Stored::f32:
      return open_plain<Stored::f32>(row, first, columns, x);
    case Stored::f16:
      return open_plain<Stored::f16>(row, first, columns, x);
    case Stored::bf16:
      return open_plain<Stored::bf16>(row, first, columns, x);
    default:
      break;
  }
  if (first >= columns) {
    GPU_UNROLL
    for (int i = 0; i < kRun; ++i) x[i] = 0;
    return;
  }
  switch (type) {
    case Stored::q8_0:
      return open_q8_0(row, first, x);
    case Stored::q4_0:
      return open_q4_0(row, first, x);
    case Stored::q4_1:
      return open_q4_1(row, first, x);
    case Stored::q5_0:
      return open_q5_0(row, first, x);
    case Stored::q5_1:
      return open_q5_1(row, first, x);
    case Stored::iq4_nl:
      return open_iq4_nl(row, first, x);
    case Stored::iq4_xs:
      return open_iq4_xs(row, first, x);
    case Stored::q2_k:
      return open_q2_k(row, first, x);
    case Stored::q3_k:
      return open_q3_k(row, first, x);
    case Stored::q4_k:
      return open_q4_k(row, first, x);
    case Stored::q5_k:
      return open_q5_k(row, first, x);
    case Stored::q6_k:
      return open_q6_k(row, first, x);
    default:
      return open_low_bit_run(type, row, first, x);
  }
}

}  // namespace potluck::gpu
