// The formats whose values are points of grids, for formats.h: blocks of 256 values.
//
// All of it has internal linkage: each source compiles it for its own instruction set, and the
// linker must not choose one for all.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "kernels/cpu/packed/block_bits.h"
#include "kernels/cpu/packed/grid_tables.h"
#include "kernels/cpu/packed/packed_product.h"

namespace potluck::cpu {
namespace {

inline uint32_t read_u16(const uint8_t* p) {
  uint16_t bits;
  std::memcpy(&bits, p, 2);
  return bits;
}

inline int nibble(const uint8_t* p, int i) {
  return p[i / 2] >> (i % 2 * 4) & 15;
}

// A product asks no more than this of a format that is unpacked: formats that agree on it share
// products.
template <int kGroup_, int kZero_, int kLevelBits_>
struct GridPanel {
  static constexpr int kGroup = kGroup_, kZero = kZero_, kLevelBits = kLevelBits_;
  static constexpr bool kMinimum = false;
};

// A grid format has, beside what formats.h asks of all:
//   kPoint, the values of a point; kHighBits of an index beyond eight; index(block, point);
//   bytes() and halves(): its grid; kSigned: whether each value has a sign, signs(block, i) of
//   values 8i to 8i + 7; otherwise shifts: below(block, i) tells whether they are ⅛ under the
//   point's, not over, which kShiftValues values share;
//   half(block): f16 d; step(block, group): scale = d · Levels::kUnit · (2 · step + 1).
template <typename Levels_, int kPoint_, int kHighBits_, int kGroup_, bool kSigned_>
struct GridFormat {
  using Levels = Levels_;
  static constexpr bool kIsGrid = true, kMinimum = false, kSigned = kSigned_;
  static constexpr int kValues = 256, kPoint = kPoint_, kHighBits = kHighBits_, kGroup = kGroup_;
  static constexpr int kZero = Levels::kZero, kLevelBits = kZero == 16 ? 5 : 7, kShiftValues = 0;
  using Panel = GridPanel<kGroup, kZero, kLevelBits>;

  static uint16_t half(const uint8_t* b) { return read_u16(b); }
};

// 66 B: f16 d, then for each 32 values 4 indices, u32 of four times 7 signs and a 4-bit step.
struct IQ2_XXS : GridFormat<Iq2Levels, 8, 0, 32, true> {
  static constexpr int kBytes = 66;
  static constexpr const auto& bytes() { return kIq2XxsBytes; }
  static constexpr const auto& halves() { return kIq2XxsHalves; }
  static int index(const uint8_t* b, int point) { return b[2 + point / 4 * 8 + point % 4]; }
  static int signs(const uint8_t* b, int i) {
    return kEvenSigns.of[read_u32(b + 6 + i / 4 * 8) >> (i % 4 * 7) & 127];
  }
  static int step(const uint8_t* b, int group) { return b[9 + 8 * group] >> 4; }
};

// 74 B: f16 d, 32 × u16 of a 9-bit index and 7 signs, 16 4-bit steps.
struct IQ2_XS : GridFormat<Iq2Levels, 8, 1, 16, true> {
  static constexpr int kBytes = 74;
  static constexpr const auto& bytes() { return kIq2XsBytes; }
  static constexpr const auto& halves() { return kIq2XsHalves; }
  static int index(const uint8_t* b, int point) { return read_u16(b + 2 + 2 * point) & 511; }
  static int signs(const uint8_t* b, int i) { return kEvenSigns.of[b[3 + 2 * i] >> 1]; }
  static int step(const uint8_t* b, int group) { return nibble(b + 66, group); }
};

// 82 B: f16 d, 32 low bytes of 10-bit indices, 32 B of signs, 8 B of high bits, 16 4-bit steps.
struct IQ2_S : GridFormat<Iq2Levels, 8, 2, 16, true> {
  static constexpr int kBytes = 82;
  static constexpr const auto& bytes() { return kIq2SBytes; }
  static constexpr const auto& halves() { return kIq2SHalves; }
  static int index(const uint8_t* b, int point) {
    return b[2 + point] | (b[66 + point / 4] >> (point % 4 * 2) & 3) << 8;
  }
  static int signs(const uint8_t* b, int i) { return b[34 + i]; }
  static int step(const uint8_t* b, int group) { return nibble(b + 74, group); }
};

// 98 B: f16 d, 64 indices, then for each 32 values u32 of four times 7 signs and a 4-bit step.
struct IQ3_XXS : GridFormat<Iq3XxsLevels, 4, 0, 32, true> {
  static constexpr int kBytes = 98;
  static constexpr const auto& bytes() { return kIq3XxsBytes; }
  static constexpr const auto& halves() { return kIq3XxsHalves; }
  static int index(const uint8_t* b, int point) { return b[2 + point]; }
  static int signs(const uint8_t* b, int i) {
    return kEvenSigns.of[read_u32(b + 66 + i / 4 * 4) >> (i % 4 * 7) & 127];
  }
  static int step(const uint8_t* b, int group) { return b[69 + 4 * group] >> 4; }
};

// 110 B: f16 d, 64 low bytes of 9-bit indices, 8 B of high bits, 32 B of signs, 8 4-bit steps.
struct IQ3_S : GridFormat<Iq3SLevels, 4, 1, 32, true> {
  static constexpr int kBytes = 110;
  static constexpr const auto& bytes() { return kIq3SBytes; }
  static constexpr const auto& halves() { return kIq3SHalves; }
  static int index(const uint8_t* b, int point) {
    return b[2 + point] | (b[66 + point / 8] >> (point % 8) & 1) << 8;
  }
  static int signs(const uint8_t* b, int i) { return b[74 + i]; }
  static int step(const uint8_t* b, int group) { return nibble(b + 106, group); }
};

// 50 B: f16 d, 32 low bytes of 11-bit indices, then for each 32 values u16 of their high bits, a
// 3-bit step and the shift's sign.
struct IQ1_S : GridFormat<Iq1Levels, 8, 3, 32, false> {
  static constexpr int kBytes = 50, kShiftValues = 32;
  static constexpr const auto& bytes() { return kIq1Bytes; }
  static constexpr const auto& halves() { return kIq1Halves; }
  static int index(const uint8_t* b, int point) {
    return b[2 + point] | (read_u16(b + 34 + point / 4 * 2) >> (point % 4 * 3) & 7) << 8;
  }
  static bool below(const uint8_t* b, int i) { return b[35 + i / 4 * 2] >> 7; }
  static int step(const uint8_t* b, int group) { return b[35 + 2 * group] >> 4 & 7; }
};

// 56 B: 32 low bytes of 11-bit indices, 16 B of their high bits, each with the shift's sign, four
// u16 of four 3-bit steps and 4 bits of f16 d, the lowest first.
struct IQ1_M : GridFormat<Iq1Levels, 8, 3, 16, false> {
  static constexpr int kBytes = 56, kShiftValues = 8;
  static constexpr const auto& bytes() { return kIq1Bytes; }
  static constexpr const auto& halves() { return kIq1Halves; }
  static int index(const uint8_t* b, int point) {
    return b[point] | (nibble(b + 32, point) & 7) << 8;
  }
  static bool below(const uint8_t* b, int i) { return nibble(b + 32, i) & 8; }
  static int step(const uint8_t* b, int group) {
    return read_u16(b + 48 + group / 4 * 2) >> (group % 4 * 3) & 7;
  }
  static uint16_t half(const uint8_t* b) {
    uint32_t bits = 0;
    for (int i = 0; i < 4; ++i) bits |= read_u16(b + 48 + 2 * i) >> 12 << (4 * i);
    return bits;
  }
};

// scale[g · kPanelRows] of group g of a block.
template <typename Format>
inline void unpack_grid_scales(const uint8_t* b, float* scale) {
  const float d = _cvtsh_ss(Format::half(b)) * Format::Levels::kUnit;
  for (int g = 0; g < Format::kValues / Format::kGroup; ++g)
    scale[g * kPanelRows] = d * (2 * Format::step(b, g) + 1);
}

// q[0, 256) = the bytes of a block.
template <typename Format>
inline void unpack_points(const uint8_t* b, uint8_t* q) {
  const auto& points = Format::bytes().points;
  const auto eight = [&](int i) -> uint64_t {
    if constexpr (Format::kPoint == 8) return points[Format::index(b, i)];
    return points[Format::index(b, 2 * i)] | uint64_t{points[Format::index(b, 2 * i + 1)]} << 32;
  };
  for (int i = 0; i < 32; i += 4) {
    const __m256i over = _mm256_setr_epi64x(eight(i), eight(i + 1), eight(i + 2), eight(i + 3));
    uint32_t minus = 0;
    for (int j = 0; j < 4; ++j)
      if constexpr (Format::kSigned)
        minus |= uint32_t(Format::signs(b, i + j)) << (8 * j);
      else
        minus |= Format::below(b, i + j) ? 255u << (8 * j) : 0;
    const __m256i mask = byte_mask(minus);
    if constexpr (Format::kSigned) {
      const __m256i under = _mm256_sub_epi8(_mm256_set1_epi8(2 * Format::kZero % 256), over);
      store_32(q + 8 * i, _mm256_blendv_epi8(over, under, mask));
    } else {  // −1 or 1
      store_32(q + 8 * i, _mm256_add_epi8(over, _mm256_or_si256(mask, _mm256_set1_epi8(1))));
    }
  }
}

}  // namespace
}  // namespace potluck::cpu
