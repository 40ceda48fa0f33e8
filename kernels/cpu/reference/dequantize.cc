// One function a stored format, each with its layout and formula, and loops that become vectors.
#include "kernels/cpu/reference/dequantize.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "kernels/cpu/reference/lanes.h"
#include "kernels/cpu/reference/low_bit.h"
#include "topology/base/check.h"

namespace potluck::cpu {
namespace {

// f32_from_f16 (topology/base/dtype.h), written so that loops over it become vectors: the bits 13
// places up are the value by 2⁻¹¹², subnormals included; infinities and NaNs keep the greatest
// exponent.
POTLUCK_INLINE float f16_value(uint16_t half) {
  const uint32_t bits = (half & 0x7fff) << 13;
  const auto value = std::bit_cast<uint32_t>(std::bit_cast<float>(bits) * 0x1p112f);
  const uint32_t sign = (half & 0x8000) << 16;
  return std::bit_cast<float>(sign | ((half & 0x7c00) == 0x7c00 ? bits | 0x7f800000 : value));
}

POTLUCK_INLINE float read_f16(const uint8_t* p) {
  uint16_t bits;
  std::memcpy(&bits, p, 2);
  return f16_value(bits);
}

void write_f16(uint8_t* p, float value) {
  const uint16_t bits = f16_from_f32(value);
  std::memcpy(p, &bits, 2);
}

// The 16 levels of iq4_nl and iq4_xs.
constexpr int8_t kIq4[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                             1,    13,   25,  38,  53,  69,  89,  113};

// x = d·q.  34 B: f16 d, 32 × int8 q.
POTLUCK_INLINE void block_q8_0(const uint8_t* b, float* x) {
  const float d = read_f16(b);
  for (int j = 0; j < 32; ++j) x[j] = d * static_cast<int8_t>(b[2 + j]);
}

// x = d·(q − 8).  18 B: f16 d, 16 B of nibbles, low ones first.
POTLUCK_INLINE void block_q4_0(const uint8_t* b, float* x) {
  const float d = read_f16(b);
  for (int j = 0; j < 16; ++j) {
    x[j] = d * ((b[2 + j] & 15) - 8);
    x[j + 16] = d * ((b[2 + j] >> 4) - 8);
  }
}

// x = d·q + m.  20 B: f16 d, f16 m, nibbles.
POTLUCK_INLINE void block_q4_1(const uint8_t* b, float* x) {
  const float d = read_f16(b), m = read_f16(b + 2);
  for (int j = 0; j < 16; ++j) {
    x[j] = d * (b[4 + j] & 15) + m;
    x[j + 16] = d * (b[4 + j] >> 4) + m;
  }
}

int fifth_bit(const uint8_t* mask, int j) {
  uint32_t bits;
  std::memcpy(&bits, mask, 4);
  return ((bits >> j) & 1) << 4;
}

// x = d·(q − 16), 5-bit q.  22 B: f16 d, 4 B of fifth bits, nibbles.
POTLUCK_INLINE void block_q5_0(const uint8_t* b, float* x) {
  const float d = read_f16(b);
  for (int j = 0; j < 16; ++j) {
    x[j] = d * (((b[6 + j] & 15) | fifth_bit(b + 2, j)) - 16);
    x[j + 16] = d * (((b[6 + j] >> 4) | fifth_bit(b + 2, j + 16)) - 16);
  }
}

// x = d·q + m, 5-bit q.  24 B: f16 d, f16 m, 4 B of fifth bits, nibbles.
POTLUCK_INLINE void block_q5_1(const uint8_t* b, float* x) {
  const float d = read_f16(b), m = read_f16(b + 2);
  for (int j = 0; j < 16; ++j) {
    x[j] = d * ((b[8 + j] & 15) | fifth_bit(b + 4, j)) + m;
    x[j + 16] = d * ((b[8 + j] >> 4) | fifth_bit(b + 4, j + 16)) + m;
  }
}

// x = d·level.  18 B: f16 d, nibbles into kIq4.
POTLUCK_INLINE void block_iq4_nl(const uint8_t* b, float* x) {
  const float d = read_f16(b);
  for (int j = 0; j < 16; ++j) {
    x[j] = d * kIq4[b[2 + j] & 15];
    x[j + 16] = d * kIq4[b[2 + j] >> 4];
  }
}

// x = d·(6-bit scale − 32)·level, eight groups of 32.  136 B: f16 d, u16 high scale bits, 4 B low
// ones.
POTLUCK_INLINE void block_iq4_xs(const uint8_t* b, float* x) {
  const float d = read_f16(b);
  uint16_t high;
  std::memcpy(&high, b + 2, 2);
  for (int g = 0; g < 8; ++g) {
    const int low = (b[4 + g / 2] >> (4 * (g % 2))) & 15;
    const float scale = d * ((low | (((high >> (2 * g)) & 3) << 4)) - 32);
    const uint8_t* n = b + 8 + 16 * g;
    for (int j = 0; j < 16; ++j) {
      x[32 * g + j] = scale * kIq4[n[j] & 15];
      x[32 * g + j + 16] = scale * kIq4[n[j] >> 4];
    }
  }
}

// x = d·s·q − m·min.  84 B: 16 B (4-bit scale, 4-bit min) for 16 values each, 64 B of 2-bit q, d,
// m.
POTLUCK_INLINE void block_q2_k(const uint8_t* b, float* x) {
  const float d = read_f16(b + 80), m = read_f16(b + 82);
  for (int i = 0; i < 256; ++i) {
    const int half = i / 128, j = i % 128 / 32, l = i % 32;
    const int q = (b[16 + 32 * half + l] >> (2 * j)) & 3;
    const uint8_t s = b[i / 16];
    x[i] = d * (s & 15) * q - m * (s >> 4);
  }
}

// x = d·(s − 32)·(q − (high bit ? 0 : 4)).  110 B: 32 B of high bits, 64 B of q, 12 B of scales, d.
POTLUCK_INLINE void block_q3_k(const uint8_t* b, float* x) {
  const float d = read_f16(b + 108);
  const uint8_t* packed = b + 96;
  for (int i = 0; i < 256; ++i) {
    const int half = i / 128, j = i % 128 / 32, l = i % 32, g = i / 16;
    const int low = g < 8 ? packed[g] & 15 : packed[g - 8] >> 4;
    const int scale = (low | (((packed[8 + g % 4] >> (2 * (g / 4))) & 3) << 4)) - 32;
    const int q = (b[32 + 32 * half + l] >> (2 * j)) & 3;
    const int bit = (b[l] >> (4 * half + j)) & 1;
    x[i] = d * scale * (q - (bit ? 0 : 4));
  }
}

struct ScaleMin {
  float scale, min;
};

// Reads the 6-bit scale and min of group g of q4_k and q5_k, out of 12 bytes.
ScaleMin scale_min(const uint8_t* s, int g) {
  if (g < 4) return {static_cast<float>(s[g] & 63), static_cast<float>(s[g + 4] & 63)};
  return {static_cast<float>((s[g + 4] & 15) | ((s[g - 4] >> 6) << 4)),
          static_cast<float>((s[g + 4] >> 4) | ((s[g] >> 6) << 4))};
}

// x = d·s·q − m·min.  144 B: f16 d, f16 m, 12 B of scales and mins, 128 B of nibbles.
POTLUCK_INLINE void block_q4_k(const uint8_t* b, float* x) {
  const float d = read_f16(b), m = read_f16(b + 2);
  for (int g = 0; g < 8; ++g) {
    const ScaleMin s = scale_min(b + 4, g);
    const float scale = d * s.scale, min = m * s.min;
    const uint8_t* n = b + 16 + 32 * (g / 2);
    for (int l = 0; l < 32; ++l) x[32 * g + l] = scale * (g % 2 ? n[l] >> 4 : n[l] & 15) - min;
  }
}

// q4_k with 32 B of fifth bits between scales and nibbles: bit g of byte l.  176 B.
POTLUCK_INLINE void block_q5_k(const uint8_t* b, float* x) {
  const float d = read_f16(b), m = read_f16(b + 2);
  for (int g = 0; g < 8; ++g) {
    const ScaleMin s = scale_min(b + 4, g);
    const float scale = d * s.scale, min = m * s.min;
    const uint8_t* n = b + 48 + 32 * (g / 2);
    for (int l = 0; l < 32; ++l) {
      const int high = ((b[16 + l] >> g) & 1) << 4;
      x[32 * g + l] = scale * ((g % 2 ? n[l] >> 4 : n[l] & 15) | high) - min;
    }
  }
}

// x = d·sc·(q − 32).  210 B: 128 B low nibbles, 64 B high pairs, 16 int8 scales, f16 d.
POTLUCK_INLINE void block_q6_k(const uint8_t* b, float* x) {
  const float d = read_f16(b + 208);
  for (int group = 0; group < 16; ++group) {  // of 16 values
    const int half = group / 8, part = group % 8 / 2, first = group % 2 * 16;
    const uint8_t* low = b + 64 * half + 32 * (part % 2) + first;
    const uint8_t* high = b + 128 + 32 * half + first;
    const float scale = d * static_cast<int8_t>(b[192 + group]);
    for (int l = 0; l < 16; ++l) {
      const int q = ((low[l] >> (part / 2 * 4)) & 15) | (((high[l] >> (2 * part)) & 3) << 4);
      x[group * 16 + l] = scale * (q - 32);
    }
  }
}

POTLUCK_INLINE void block_f16(const uint8_t* b, float* x) {
  x[0] = read_f16(b);
}
POTLUCK_INLINE void block_bf16(const uint8_t* b, float* x) {
  uint16_t bits;
  std::memcpy(&bits, b, 2);
  x[0] = std::bit_cast<float>(bits << 16);
}

template <void (*kBlock)(const uint8_t*, float*), int kValues, int kBytes>
POTLUCK_INLINE void each_block(const void* blocks, float* out, int64_t values) {
  const auto* b = static_cast<const uint8_t*>(blocks);
  for (int64_t i = 0; i < values / kValues; ++i) kBlock(b + i * kBytes, out + i * kValues);
}

}  // namespace

POTLUCK_CLONES void dequantize_row(DType type, const void* blocks, float* out, int64_t values) {
  CHECK(values % block_shape(type).values == 0, dtype_name(type), values);
  switch (type) {
    case DType::f32:
      std::memcpy(out, blocks, values * sizeof(*out));
      return;
    case DType::f16:
      return each_block<block_f16, 1, 2>(blocks, out, values);
    case DType::bf16:
      return each_block<block_bf16, 1, 2>(blocks, out, values);
    case DType::q8_0:
      return each_block<block_q8_0, 32, 34>(blocks, out, values);
    case DType::q4_0:
      return each_block<block_q4_0, 32, 18>(blocks, out, values);
    case DType::q4_1:
      return each_block<block_q4_1, 32, 20>(blocks, out, values);
    case DType::q5_0:
      return each_block<block_q5_0, 32, 22>(blocks, out, values);
    case DType::q5_1:
      return each_block<block_q5_1, 32, 24>(blocks, out, values);
    case DType::q2_k:
      return each_block<block_q2_k, 256, 84>(blocks, out, values);
    case DType::q3_k:
      return each_block<block_q3_k, 256, 110>(blocks, out, values);
    case DType::q4_k:
      return each_block<block_q4_k, 256, 144>(blocks, out, values);
    case DType::q5_k:
      return each_block<block_q5_k, 256, 176>(blocks, out, values);
    case DType::q6_k:
      return each_block<block_q6_k, 256, 210>(blocks, out, values);
    case DType::iq4_nl:
      return each_block<block_iq4_nl, 32, 18>(blocks, out, values);
    case DType::iq4_xs:
      return each_block<block_iq4_xs, 256, 136>(blocks, out, values);
    case DType::iq2_xxs:
      return each_block<low_bit::iq2_xxs, 256, 66>(blocks, out, values);
    case DType::iq2_xs:
      return each_block<low_bit::iq2_xs, 256, 74>(blocks, out, values);
    case DType::iq2_s:
      return each_block<low_bit::iq2_s, 256, 82>(blocks, out, values);
    case DType::iq3_xxs:
      return each_block<low_bit::iq3_xxs, 256, 98>(blocks, out, values);
    case DType::iq3_s:
      return each_block<low_bit::iq3_s, 256, 110>(blocks, out, values);
    case DType::iq1_s:
      return each_block<low_bit::iq1_s, 256, 50>(blocks, out, values);
    case DType::iq1_m:
      return each_block<low_bit::iq1_m, 256, 56>(blocks, out, values);
    case DType::mxfp4:
      return each_block<low_bit::mxfp4, 32, 17>(blocks, out, values);
  }
  CHECK(false, static_cast<int>(type));
}

bool can_quantize(DType type) {
  return type == DType::f32 || type == DType::f16 || type == DType::bf16 || type == DType::q8_0 ||
         type == DType::q4_0;
}

namespace {

// d = max|x| / 127, q = round(x / d): error ≤ d/2 a value, plus d's own rounding to f16.
void to_q8_0(const float* x, uint8_t* b) {
  float most = 0;
  for (int j = 0; j < 32; ++j) most = std::max(most, std::fabs(x[j]));
  const float d = most / 127.0f, inverse = d > 0 ? 1.0f / d : 0.0f;
  write_f16(b, d);
  for (int j = 0; j < 32; ++j) b[2 + j] = std::lrintf(x[j] * inverse);
}

// d = −extreme / 8 so that the extreme is level 0 exactly; q = round(x / d) + 8 in 0..15.
void to_q4_0(const float* x, uint8_t* b) {
  float extreme = 0;
  for (int j = 0; j < 32; ++j)
    if (std::fabs(x[j]) > std::fabs(extreme)) extreme = x[j];
  const float d = extreme / -8.0f, inverse = d != 0 ? 1.0f / d : 0.0f;
  write_f16(b, d);
  const auto level = [&](float value) {
    return static_cast<uint8_t>(std::clamp<long>(std::lrintf(value * inverse) + 8, 0, 15));
  };
  for (int j = 0; j < 16; ++j) b[2 + j] = level(x[j]) | (level(x[j + 16]) << 4);
}

// bf16_from_f32 (topology/base/dtype.h), written so that loops over it become vectors.
POTLUCK_INLINE uint32_t bf16_bits(float x) {
  const auto bits = std::bit_cast<uint32_t>(x);
  const uint32_t rounded = bits + 0x7fff + ((bits >> 16) & 1);
  return (x == x ? rounded : bits | 0x400000) >> 16;
}

POTLUCK_CLONES void round_to_bf16(float* x, int64_t values) {
  for (int64_t i = 0; i < values; ++i) x[i] = std::bit_cast<float>(bf16_bits(x[i]) << 16);
}

POTLUCK_CLONES void quantize_bf16(const float* x, uint16_t* out, int64_t values) {
  for (int64_t i = 0; i < values; ++i) out[i] = bf16_bits(x[i]);
}

// Returns all ones where it is so.
POTLUCK_INLINE int32_t mask_of(bool so) {
  return -so;
}

// f16_from_f32, every case computed and one chosen by masks, so that loops over it become vectors.
POTLUCK_CLONES void quantize_f16(const float* in, uint16_t* out, int64_t values) {
  for (int64_t i = 0; i < values; ++i) {
    const auto bits = std::bit_cast<int32_t>(in[i]);
    const int32_t size = bits & 0x7fffffff, is_tiny = mask_of(size < 0x38800000);
    const int32_t normal = (size - 0x38000000 + 0xfff + ((size >> 13) & 1)) >> 13;
    const float units = std::bit_cast<float>(size & is_tiny) * 0x1p24f;
    const int32_t tiny = (units + 0x1p23f) - 0x1p23f;
    const int32_t finite = (tiny & is_tiny) | (normal & ~is_tiny);  // tiny: a multiple of 2⁻²⁴
    const int32_t past = mask_of(size >= 0x477ff000);               // rounds past 65504
    const int32_t no_number = mask_of(size > 0x7f800000);
    const int32_t f16 = (finite & ~past) | (0x7c00 & past) | (0x7e00 & no_number);
    out[i] = f16 | ((bits >> 16) & 0x8000);
  }
}

}  // namespace

void quantize_row(DType type, const float* in, void* blocks, int64_t values) {
  CHECK(can_quantize(type), dtype_name(type));
  CHECK(values % block_shape(type).values == 0, dtype_name(type), values);
  if (type == DType::bf16) return quantize_bf16(in, static_cast<uint16_t*>(blocks), values);
  if (type == DType::f16) return quantize_f16(in, static_cast<uint16_t*>(blocks), values);
  auto* b = static_cast<uint8_t*>(blocks);
  const BlockShape shape = block_shape(type);
  for (int64_t i = 0; i < values / shape.values; ++i, b += shape.bytes) {
    const float* x = in + i * shape.values;
    switch (type) {
      case DType::f32:
        std::memcpy(b, x, 4);
        break;
      case DType::q8_0:
        to_q8_0(x, b);
        break;
      default:
        to_q4_0(x, b);
    }
  }
}

void round_to(DType type, float* x, int64_t values) {
  if (type == DType::f32) return;
  CHECK(type == DType::bf16 || type == DType::f16, dtype_name(type));
  if (type == DType::bf16) return round_to_bf16(x, values);
  for (int64_t i = 0; i < values; ++i) x[i] = f32_from_f16(f16_from_f32(x[i]));
}

}  // namespace potluck::cpu
