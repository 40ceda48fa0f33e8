// Opens the types of about two bits, bit for bit as kernels/cpu/reference/low_bit.cc, which has
// each format: a point of a grid (topology/base/low_bit_grids.h) is the levels of 8 or 4 values.
//
// A lane loads the points that it needs, two bytes each, by L1. Lanes of a warp want points all
// over a grid, and their load takes a turn for each line of 128 bytes that they touch: 4 at most of
// iq2_xxs and iq3_xxs, 8 of iq2_xs and iq3_s, 16 of iq2_s, 32 of iq1. Constant memory would take a
// turn for each point, and shared memory, with a turn for each of the about 3 words that meet in a
// bank, would be missing to the tiles of all types.
#pragma once

#include "kernels/gpu/device/load_stored.h"
#include "kernels/gpu/device/stored.h"
#include "topology/base/low_bit_grids.h"

namespace potluck::gpu {

GPU_TABLE Grid<256> kPointsOfIq2Xxs = kIq2XxsGrid;
GPU_TABLE Grid<512> kPointsOfIq2Xs = kIq2XsGrid;
GPU_TABLE Grid<1024> kPointsOfIq2S = kIq2SGrid;
GPU_TABLE Grid<256> kPointsOfIq3Xxs = kIq3XxsGrid;
GPU_TABLE Grid<512> kPointsOfIq3S = kIq3SGrid;
GPU_TABLE Grid<2048> kPointsOfIq1 = kIq1Grid;

// The four levels of 2 or 3 bits from bit 0 on, each in a byte.
GPU_DEVICE uint32_t spread_pairs(uint32_t bits) {
  const uint32_t halves = (bits | bits << 12) & 0x000f000fu;
  return (halves | halves << 6) & 0x03030303u;
}
GPU_DEVICE uint32_t spread_triples(uint32_t bits) {
  const uint32_t halves = (bits | bits << 10) & 0x003f003fu;
  return (halves | halves << 5) & 0x07070707u;
}

// x[0 … 3] = scale times the bytes of `sizes`, less than 0 where the bit of `minus` is set.
GPU_DEVICE void put_signed(float scale, uint32_t sizes, uint32_t minus, float* x) {
  GPU_UNROLL
  for (int i = 0; i < 4; ++i)
    x[i] = float_of(bits_of(scale * byte_to_float(sizes, i)) ^ minus >> i << 31);
}

// The eight values of a point of iq2: levels 0, 1, 2 are 8, 25, 43.
GPU_DEVICE void put_iq2(float scale, uint32_t point, uint32_t minus, float* x) {
  GPU_UNROLL
  for (int half = 0; half < 2; ++half) {
    const uint32_t levels = spread_pairs(point >> (half * 8));
    const uint32_t sizes = levels * 17 + 0x08080808u + (levels >> 1 & 0x01010101u);
    put_signed(scale, sizes, minus >> (half * 4), x + half * 4);
  }
}

// The eight values of a point of iq1: levels 0, 1, 2 are −1, 0, 1, to which `offset` adds up.
GPU_DEVICE void put_iq1(float scale, uint32_t point, float offset, float* x) {
  GPU_UNROLL
  for (int i = 0; i < 8; ++i)
    x[i] = scale * (byte_to_float(spread_pairs(point >> (i / 4 * 8)), i % 4) + offset);
}
// Values are an eighth above levels' own, or below them.
GPU_DEVICE float iq1_offset(uint32_t below) {
  return below ? -1.125f : -0.875f;
}

GPU_DEVICE uint32_t load_u16(const uint8_t* p) {
  return *as<const uint16_t>(p);
}

// 66 B: f16 d; for 32 values 4 B that number points, 4 × 7 bits of signs and 4 bits of a scale.
template <int kRun>
GPU_DEVICE void open_iq2_xxs(const uint8_t* row, int64_t first, float (&x)[kRun]) {
  const uint8_t* b = row + first / 256 * 66;
  uint32_t group[2];
  load_bytes<8, 2>(b + 2 + first % 256 / 32 * 8, group);
  const float scale = load_f16(b) * (0.5f + (group[1] >> 28)) * 0.25f;
  GPU_UNROLL
  for (int i = 0; i < kRun / 8; ++i) {
    const int at = first % 32 / 8 + i;
    put_iq2(scale, kPointsOfIq2Xxs.points[group[0] >> (at * 8) & 255],
            even_signs(group[1] >> (at * 7) & 127), x + i * 8);
  }
}

// 74 B: f16 d, for 8 values 9 bits that number a point and 7 of signs, for 16 a nibble of a scale.
template <int kRun>
GPU_DEVICE void open_iq2_xs(const uint8_t* row, int64_t first, float (&x)[kRun]) {
  const uint8_t* b = row + first / 256 * 74;
  const int at = first % 256;
  const float scale = load_f16(b) * (0.5f + (b[66 + at / 32] >> (at / 16 % 2 * 4) & 15)) * 0.25f;
  GPU_UNROLL
  for (int i = 0; i < kRun / 8; ++i) {
    const uint32_t q = load_u16(b + 2 + (at / 8 + i) * 2);
    put_iq2(scale, kPointsOfIq2Xs.points[q & 511], even_signs(q >> 9), x + i * 8);
  }
}

// 82 B: f16 d; for 8 values 8 bits of a point's number, then 8 of signs, then 2 more of the number;
// for 16 a nibble of a scale.
template <int kRun>
GPU_DEVICE void open_iq2_s(const uint8_t* row, int64_t first, float (&x)[kRun]) {
  const uint8_t* b = row + first / 256 * 82;
  const int at = first % 256;
  const float scale = load_f16(b) * (0.5f + (b[74 + at / 32] >> (at / 16 % 2 * 4) & 15)) * 0.25f;
  GPU_UNROLL
  for (int i = 0; i < kRun / 8; ++i) {
    const int octet = at / 8 + i;
    const int high = b[66 + octet / 4] >> (octet % 4 * 2) & 3;
    put_iq2(scale, kPointsOfIq2S.points[b[2 + octet] | high << 8], b[34 + octet], x + i * 8);
  }
}

// 98 B: f16 d, for 4 values 8 bits that number a point, for 32 4 × 7 bits of signs and 4 of a
// scale. Levels are 4, 12, … 52, and at last 62.
template <int kRun>
GPU_DEVICE void open_iq3_xxs(const uint8_t* row, int64_t first, float (&x)[kRun]) {
  const uint8_t* b = row + first / 256 * 98;
  const int at = first % 256;
  uint32_t signs[1];
  load_bytes<4, 2>(b + 66 + at / 32 * 4, signs);
  const float scale = load_f16(b) * (0.5f + (signs[0] >> 28)) * 0.5f;
  GPU_UNROLL
  for (int i = 0; i < kRun / 4; ++i) {
    const int octet = at % 32 / 8 + i / 2;
    const uint32_t minus = even_signs(signs[0] >> (octet * 7) & 127);
    const uint32_t levels = spread_triples(kPointsOfIq3Xxs.points[b[2 + at / 4 + i]]);
    const uint32_t sizes = levels * 8 + 0x04040404u + ((levels + 0x01010101u) >> 2 & 0x02020202u);
    put_signed(scale, sizes, minus >> (i % 2 * 4), x + i * 4);
  }
}

// 110 B: f16 d; for 4 values 8 bits of a point's number, then a ninth; a sign for each value; for
// 32 a nibble of a scale. Levels are 1, 3, … 15.
template <int kRun>
GPU_DEVICE void open_iq3_s(const uint8_t* row, int64_t first, float (&x)[kRun]) {
  const uint8_t* b = row + first / 256 * 110;
  const int at = first % 256;
  const float scale = load_f16(b) * (1 + 2 * (b[106 + at / 64] >> (at / 32 % 2 * 4) & 15));
  GPU_UNROLL
  for (int i = 0; i < kRun / 4; ++i) {
    const int four = at / 4 + i;
    const int ninth = b[66 + four / 8] >> (four % 8) & 1;
    const uint32_t levels = spread_triples(kPointsOfIq3S.points[b[2 + four] | ninth << 8]);
    put_signed(scale, levels * 2 + 0x01010101u, b[74 + four / 2] >> (i % 2 * 4), x + i * 4);
  }
}

// 50 B: f16 d, for 8 values 8 bits of a point's number, for 32 4 × 3 more, 3 bits of a scale and
// one that says which way levels are off.
template <int kRun>
GPU_DEVICE void open_iq1_s(const uint8_t* row, int64_t first, float (&x)[kRun]) {
  const uint8_t* b = row + first / 256 * 50;
  const int at = first % 256;
  const uint32_t more = load_u16(b + 34 + at / 32 * 2);
  const float scale = load_f16(b) * (2 * (more >> 12 & 7) + 1);
  GPU_UNROLL
  for (int i = 0; i < kRun / 8; ++i) {
    const int octet = at / 8 + i;
    const uint32_t high = more >> (octet % 4 * 3) & 7;
    put_iq1(scale, kPointsOfIq1.points[b[2 + octet] | high << 8], iq1_offset(more >> 15),
            x + i * 8);
  }
}

// 56 B: for 8 values 8 bits of a point's number; then for each 3 more and one that says which way
// levels are off; 4 × 16 bits, of which 3 are a scale of 16 values and the highest 4 are d's.
template <int kRun>
GPU_DEVICE void open_iq1_m(const uint8_t* row, int64_t first, float (&x)[kRun]) {
  const uint8_t* b = row + first / 256 * 56;
  const int at = first % 256;
  uint32_t d = 0;
  GPU_UNROLL
  for (int i = 0; i < 4; ++i) d |= load_u16(b + 48 + i * 2) >> 12 << (i * 4);
  const uint32_t scales = load_u16(b + 48 + at / 64 * 2) >> (at / 16 % 4 * 3);
  const float scale = f16_to_float(d) * (2 * (scales & 7) + 1);
  GPU_UNROLL
  for (int i = 0; i < kRun / 8; ++i) {
    const int octet = at / 8 + i;
    const uint32_t more = b[32 + octet / 2] >> (octet % 2 * 4);
    put_iq1(scale, kPointsOfIq1.points[b[octet] | (more & 7) << 8], iq1_offset(more & 8),
            x + i * 8);
  }
}

// kRun bytes from an address that may be odd, loaded two at a time. The byte before p is there to
// be read.
template <int kRun>
GPU_DEVICE void load_odd_bytes(const uint8_t* p, uint32_t (&words)[kRun / 4]) {
  const int odd = reinterpret_cast<uint64_t>(p) & 1;
  uint32_t pairs[kRun / 2 + 1];
  GPU_UNROLL
  for (int i = 0; i < kRun / 2; ++i) pairs[i] = load_u16(p - odd + i * 2);
  pairs[kRun / 2] = p[kRun - 1];
  GPU_UNROLL
  for (int i = 0; i < kRun / 4; ++i) {
    const uint64_t six = pairs[i * 2] | pairs[i * 2 + 1] << 16 | uint64_t{pairs[i * 2 + 2]} << 32;
    words[i] = six >> (odd * 8);
  }
}

// Twice the value of a nibble of mxfp4.
GPU_DEVICE int mxfp4_level(int q) {
  // 0 1 2 3, 4 6 8 12, a byte each, the first lowest.
  const int size = (q & 4 ? 0x0c080604u : 0x03020100u) >> (q % 4 * 8) & 255;
  return q & 8 ? -size : size;
}

// 17 B: 8 bits of an exponent, nibbles that number levels, the low ones first.
template <int kRun>
GPU_DEVICE void open_mxfp4(const uint8_t* row, int64_t first, float (&x)[kRun]) {
  const uint8_t* b = row + first / 32 * 17;
  const float scale = float_of(mxfp4_scale_bits(b[0]));
  const int shift = first % 32 / 16 * 4;
  uint32_t q[kRun / 4];
  load_odd_bytes<kRun>(b + 1 + first % 16, q);
  GPU_UNROLL
  for (int i = 0; i < kRun; ++i) x[i] = scale * mxfp4_level(nibble_of(q, i, shift));
}

// As open_run() does (kernels/gpu/device/dequantize.h), of a type that is opened here.
template <int kRun>
GPU_DEVICE void open_low_bit_run(Stored type, const uint8_t* row, int64_t first, float (&x)[kRun]) {
  switch (type) {
    case Stored::iq2_xxs:
      return open_iq2_xxs(row, first, x);
    case Stored::iq2_xs:
      return open_iq2_xs(row, first, x);
    case Stored::iq2_s:
      return open_iq2_s(row, first, x);
    case Stored::iq3_xxs:
      return open_iq3_xxs(row, first, x);
    case Stored::iq3_s:
      return open_iq3_s(row, first, x);
    case Stored::iq1_s:
      return open_iq1_s(row, first, x);
    case Stored::iq1_m:
      return open_iq1_m(row, first, x);
    default:
      return open_mxfp4(row, first, x);
  }
}

}  // namespace potluck::gpu
