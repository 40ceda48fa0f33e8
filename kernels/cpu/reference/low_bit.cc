// One function a low-bit type, each with its layout and formula. Grids, levels and signs are those
// of topology/base/low_bit_grids.h.
#include "kernels/cpu/reference/low_bit.h"

#include <bit>
#include <cstring>

#include "topology/base/dtype.h"
#include "topology/base/low_bit_grids.h"

namespace potluck::cpu::low_bit {
namespace {

uint16_t read_u16(const uint8_t* p) {
  uint16_t bits;
  std::memcpy(&bits, p, 2);
  return bits;
}

uint32_t read_u32(const uint8_t* p) {
  uint32_t bits;
  std::memcpy(&bits, p, 4);
  return bits;
}

float read_f16(const uint8_t* p) {
  return f32_from_f16(read_u16(p));
}

float signed_value(float value, uint32_t signs, int j) {
  return signs >> j & 1 ? -value : value;
}

// x[0, 8) = scale · ± magnitudes of a point of 2-bit levels.
void iq2_point(uint32_t point, uint32_t signs, float scale, float* x) {
  for (int j = 0; j < 8; ++j)
    x[j] = signed_value(scale * kIq2Magnitudes[point >> (2 * j) & 3], signs, j);
}

// x[0, 8) = scale · (level − 1 ± ⅛) of a point of 2-bit levels.
void iq1_point(uint32_t point, bool below, float scale, float* x) {
  for (int j = 0; j < 8; ++j) {
    const int level = point >> (2 * j) & 3;
    x[j] = scale * ((level - 1) + (below ? -0.125f : 0.125f));
  }
}

}  // namespace

// 66 B: f16 d, then for each 32 values 4 B of indices, u32 of four times 7 signs and a 4-bit s.
// x = d · (½ + s) / 4 · ± magnitude.
void iq2_xxs(const uint8_t* b, float* x) {
  const float d = read_f16(b);
  for (int g = 0; g < 8; ++g) {
    const uint8_t* group = b + 2 + 8 * g;
    const uint32_t packed = read_u32(group + 4);
    const float scale = d * (0.5f + (packed >> 28)) * 0.25f;
    for (int i = 0; i < 4; ++i)
      iq2_point(kIq2XxsGrid.points[group[i]], even_signs(packed >> (7 * i) & 127), scale,
                x + 32 * g + 8 * i);
  }
}

// 74 B: f16 d, 32 × u16 of a 9-bit index and 7 signs, 8 B of a 4-bit s for each 16 values.
// x = d · (½ + s) / 4 · ± magnitude.
void iq2_xs(const uint8_t* b, float* x) {
  const float d = read_f16(b);
  for (int i = 0; i < 32; ++i) {  // of 8 values
    const uint32_t packed = read_u16(b + 2 + 2 * i);
    const int s = b[66 + i / 4] >> (i / 2 % 2 * 4) & 15;
    const float scale = d * (0.5f + s) * 0.25f;
    iq2_point(kIq2XsGrid.points[packed & 511], even_signs(packed >> 9), scale, x + 8 * i);
  }
}

// 82 B: f16 d, 32 low bytes of 10-bit indices, 32 B of signs, 8 B of high bits of indices, two
// each, 8 B of a 4-bit s for each 16 values. x = d · (½ + s) / 4 · ± magnitude.
void iq2_s(const uint8_t* b, float* x) {
  const float d = read_f16(b);
  for (int i = 0; i < 32; ++i) {  // of 8 values
    const int index = b[2 + i] | (b[66 + i / 4] >> (i % 4 * 2) & 3) << 8;
    const int s = b[74 + i / 4] >> (i / 2 % 2 * 4) & 15;
    const float scale = d * (0.5f + s) * 0.25f;
    iq2_point(kIq2SGrid.points[index], b[34 + i], scale, x + 8 * i);
  }
}

// 98 B: f16 d, 64 indices, then for each 32 values u32 of four times 7 signs and a 4-bit s.
// x = d · (½ + s) / 2 · ± magnitude.
void iq3_xxs(const uint8_t* b, float* x) {
  const float d = read_f16(b);
  for (int i = 0; i < 32; ++i) {  // of 8 values
    const uint32_t packed = read_u32(b + 66 + i / 4 * 4);
    const uint32_t signs = even_signs(packed >> (i % 4 * 7) & 127);
    const float scale = d * (0.5f + (packed >> 28)) * 0.5f;
    for (int j = 0; j < 8; ++j) {
      const int level = kIq3XxsGrid.points[b[2 + 2 * i + j / 4]] >> (j % 4 * 3) & 7;
      x[8 * i + j] = signed_value(scale * kIq3XxsMagnitudes[level], signs, j);
    }
  }
}

// 110 B: f16 d, 64 low bytes of 9-bit indices, 8 B of their high bits, 32 B of signs, 4 B of a
// 4-bit s for each 32 values. x = d · (2·s + 1) · ± (2·level + 1).
void iq3_s(const uint8_t* b, float* x) {
  const float d = read_f16(b);
  for (int i = 0; i < 32; ++i) {  // of 8 values
    const int s = b[106 + i / 8] >> (i / 4 % 2 * 4) & 15;
    const float scale = d * (2 * s + 1);
    for (int j = 0; j < 8; ++j) {
      const int at = 2 * i + j / 4, index = b[2 + at] | (b[66 + at / 8] >> (at % 8) & 1) << 8;
      const int level = kIq3SGrid.points[index] >> (j % 4 * 3) & 7;
      x[8 * i + j] = signed_value(scale * (2 * level + 1), b[74 + i], j);
    }
  }
}

// 50 B: f16 d, 32 low bytes of 11-bit indices, then for each 32 values u16 of their high bits, a
// 3-bit s and the shift's sign. x = d · (2·s + 1) · (level − 1 ± ⅛).
void iq1_s(const uint8_t* b, float* x) {
  const float d = read_f16(b);
  for (int i = 0; i < 32; ++i) {  // of 8 values
    const uint32_t packed = read_u16(b + 34 + i / 4 * 2);
    const uint32_t index = b[2 + i] | (packed >> (i % 4 * 3) & 7) << 8;
    const float scale = d * (2 * (packed >> 12 & 7) + 1);
    iq1_point(kIq1Grid.points[index], packed & 0x8000, scale, x + 8 * i);
  }
}

// 56 B: 32 low bytes of 11-bit indices, 16 B of their high bits, each with the shift's sign, four
// u16 of four 3-bit s, for 16 values each, and 4 bits of f16 d, the lowest first.
// x = d · (2·s + 1) · (level − 1 ± ⅛).
void iq1_m(const uint8_t* b, float* x) {
  uint16_t half = 0;
  for (int i = 0; i < 4; ++i) half |= read_u16(b + 48 + 2 * i) >> 12 << (4 * i);
  const float d = f32_from_f16(half);
  for (int i = 0; i < 32; ++i) {  // of 8 values
    const uint32_t high = b[32 + i / 2] >> (i % 2 * 4), index = b[i] | (high & 7) << 8;
    const int s = read_u16(b + 48 + i / 8 * 2) >> (i / 2 % 4 * 3) & 7;
    iq1_point(kIq1Grid.points[index], high & 8, d * (2 * s + 1), x + 8 * i);
  }
}

// 17 B: the scale's exponent, nibbles, low ones first. x = scale · level.
void mxfp4(const uint8_t* b, float* x) {
  const auto scale = std::bit_cast<float>(mxfp4_scale_bits(b[0]));
  for (int j = 0; j < 16; ++j) {
    x[j] = scale * kMxfp4Levels[b[1 + j] & 15];
    x[j + 16] = scale * kMxfp4Levels[b[1 + j] >> 4];
  }
}

}  // namespace potluck::cpu::low_bit
