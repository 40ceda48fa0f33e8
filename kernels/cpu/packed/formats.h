// The stored integer blocks as unsigned bytes with a scale, and a minimum or a zero point, for each
// group of values:  x = scale · (q − kZero) − minimum.  kernels/cpu/reference/dequantize.cc defines
// the formats, and the values here are the same to the bit. All of it needs AVX2.
//
// All of it has internal linkage: each source compiles it for its own instruction set, and the
// linker must not choose one for all.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "kernels/cpu/packed/block_bits.h"
#include "kernels/cpu/packed/grid_block.h"
#include "kernels/cpu/packed/packed_product.h"
#include "kernels/cpu/packed/vectors.h"
#include "kernels/cpu/reference/dequantize.h"  // for types without integer blocks

namespace potluck::cpu {
namespace {

// A format has: kValues and kBytes of a block; kBits of a value as it is stored; kGroup, the values
// that share a scale; kZero; kMinimum, whether a group has one; unpack(block, q[kValues]), or
// nibbles(block) that number levels(), sixteen q of kLevelBits.
// A scale is made of kHalves f16 of the block, which begin at byte kHalvesAt, and kFactors bytes of
// each group, factor(block, i · groups + g): scale = halves[0] · factors[0], minimum = halves[1] ·
// factors[1]; with no factors halves[0] and −halves[1]. With kBf16Halves halves are bf16, and
// half_of(block) is what the block has in their place. Formats of grids have scales of their own
// (grid_formats.h).

// Formats whose blocks are one group and begin with f16 d, f16 m where there is a minimum.
template <int kHalvesOfBlock>
struct PlainScales {
  static constexpr int kHalves = kHalvesOfBlock, kHalvesAt = 0, kFactors = 0;
  static int factor(const uint8_t*, int) { return 1; }
};

// 34 B: f16 d, 32 × int8.
struct Q8_0 : PlainScales<1> {
  static constexpr int kBits = 8;
  static constexpr int kValues = 32, kBytes = 34, kGroup = 32, kZero = 128;
  static constexpr bool kMinimum = false;
  static void unpack(const uint8_t* b, uint8_t* q) {
    store_32(q, _mm256_xor_si256(load_32(b + 2), _mm256_set1_epi8(-128)));
  }
};

// 18 B: f16 d, nibbles.
struct Q4_0 : PlainScales<1> {
  static constexpr int kBits = 4;
  static constexpr int kValues = 32, kBytes = 18, kGroup = 32, kZero = 8;
  static constexpr bool kMinimum = false;
  static void unpack(const uint8_t* b, uint8_t* q) { store_32(q, nibbles_16(b + 2)); }
};

// 20 B: f16 d, f16 m, nibbles.
struct Q4_1 : PlainScales<2> {
  static constexpr int kBits = 4;
  static constexpr int kValues = 32, kBytes = 20, kGroup = 32, kZero = 0;
  static constexpr bool kMinimum = true;
  static void unpack(const uint8_t* b, uint8_t* q) { store_32(q, nibbles_16(b + 4)); }
};

// 22 B: f16 d, 32 fifth bits, nibbles.
struct Q5_0 : PlainScales<1> {
  static constexpr int kBits = 5;
  static constexpr int kValues = 32, kBytes = 22, kGroup = 32, kZero = 16;
  static constexpr bool kMinimum = false;
  static void unpack(const uint8_t* b, uint8_t* q) {
    store_32(q, _mm256_or_si256(nibbles_16(b + 6), fifth_bits(read_u32(b + 2))));
  }
};

// 24 B: f16 d, f16 m, 32 fifth bits, nibbles.
struct Q5_1 : PlainScales<2> {
  static constexpr int kBits = 5;
  static constexpr int kValues = 32, kBytes = 24, kGroup = 32, kZero = 0;
  static constexpr bool kMinimum = true;
  static void unpack(const uint8_t* b, uint8_t* q) {
    store_32(q, _mm256_or_si256(nibbles_16(b + 8), fifth_bits(read_u32(b + 4))));
  }
};

// The sixteen bytes of `levels`, zero point added, twice.
inline __m256i level_bytes(const int8_t* levels, int zero) {
  return _mm256_broadcastsi128_si256(_mm_add_epi8(load_16(levels), _mm_set1_epi8(zero)));
}

// 18 B: f16 d, nibbles.
struct IQ4_NL : PlainScales<1> {
  static constexpr int kBits = 4, kLevelBits = 8;
  static constexpr int kValues = 32, kBytes = 18, kGroup = 32, kZero = 128;
  static constexpr bool kMinimum = false;
  static __m256i levels() {
    alignas(16) static constexpr int8_t kLevels[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                                       1,    13,   25,  38,  53,  69,  89,  113};
    return level_bytes(kLevels, kZero);
  }
  static __m256i nibbles(const uint8_t* b) { return nibbles_16(b + 2); }
};

// 17 B: the exponent of the scale, nibbles.
struct MXFP4 : PlainScales<1> {
  static constexpr int kBits = 4, kLevelBits = 5;
  static constexpr int kValues = 32, kBytes = 17, kGroup = 32, kZero = 16;
  static constexpr bool kMinimum = false, kBf16Halves = true;
  static uint16_t half_of(const uint8_t* b) { return mxfp4_scale_bits(b[0]) >> 16; }
  static __m256i levels() { return level_bytes(kMxfp4Levels, kZero); }
  static __m256i nibbles(const uint8_t* b) { return nibbles_16(b + 1); }
};

// The 6-bit scales and minima of Q4_K and Q5_K: f16 d, f16 m, 12 bytes S.
struct SixBitScales {
  static constexpr int kHalves = 2, kHalvesAt = 0, kFactors = 2;

  static int factor(const uint8_t* b, int i) {
    const uint8_t* s = b + 4;
    const int g = i % 8;
    if (i < 8) return g < 4 ? s[g] & 63 : (s[g + 4] & 15) | ((s[g - 4] >> 6) << 4);
    return g < 4 ? s[g + 4] & 63 : (s[g + 4] >> 4) | ((s[g] >> 6) << 4);
  }
};

// 144 B: f16 d, f16 m, 12 B of scales, 4 chunks of 32 B: low nibbles, then high, 32 values each.
struct Q4_K : SixBitScales {
  static constexpr int kBits = 4;
  static constexpr int kValues = 256, kBytes = 144, kGroup = 32, kZero = 0;
  static constexpr bool kMinimum = true;
  static void unpack(const uint8_t* b, uint8_t* q) {
    for (int chunk = 0; chunk < 4; ++chunk) {
      const __m256i bytes = load_32(b + 16 + 32 * chunk);
      store_32(q + 64 * chunk, low_nibbles(bytes));
      store_32(q + 64 * chunk + 32, high_nibbles(bytes));
    }
  }
};

// 176 B: as Q4_K with 32 B of fifth bits before the nibbles: bits 2·chunk and 2·chunk + 1.
struct Q5_K : SixBitScales {
  static constexpr int kBits = 5;
  static constexpr int kValues = 256, kBytes = 176, kGroup = 32, kZero = 0;
  static constexpr bool kMinimum = true;
  static void unpack(const uint8_t* b, uint8_t* q) {
    const __m256i fifth = load_32(b + 16);
    const auto bits = [fifth](int bit) { return fifth_where(fifth, _mm256_set1_epi8(1 << bit)); };
    for (int chunk = 0; chunk < 4; ++chunk) {
      const __m256i bytes = load_32(b + 48 + 32 * chunk);
      store_32(q + 64 * chunk, _mm256_or_si256(low_nibbles(bytes), bits(2 * chunk)));
      store_32(q + 64 * chunk + 32, _mm256_or_si256(high_nibbles(bytes), bits(2 * chunk + 1)));
    }
  }
};

// 210 B: 128 B of low nibbles, 64 B of high pairs, 16 int8 scales, f16 d.
struct Q6_K {
  static constexpr int kBits = 6, kHalves = 1, kHalvesAt = 208, kFactors = 1;
  static constexpr int kValues = 256, kBytes = 210, kGroup = 16, kZero = 32;
  static constexpr bool kMinimum = false;
  static int factor(const uint8_t* b, int i) { return static_cast<int8_t>(b[192 + i]); }
  static void unpack(const uint8_t* b, uint8_t* q) {
    for (int half = 0; half < 2; ++half) {
      const __m256i first = load_32(b + 64 * half), second = load_32(b + 64 * half + 32);
      const __m256i high = load_32(b + 128 + 32 * half);
      const auto pair = [](__m256i v) {
        return _mm256_and_si256(v, _mm256_set1_epi8(48));  // bits 4 and 5
      };
      uint8_t* out = q + 128 * half;
      store_32(out, _mm256_or_si256(low_nibbles(first), pair(_mm256_slli_epi16(high, 4))));
      store_32(out + 32, _mm256_or_si256(low_nibbles(second), pair(_mm256_slli_epi16(high, 2))));
      store_32(out + 64, _mm256_or_si256(high_nibbles(first), pair(high)));
      store_32(out + 96, _mm256_or_si256(high_nibbles(second), pair(_mm256_srli_epi16(high, 2))));
    }
  }
};

// Bits of the bytes q that unpacking makes.
template <typename Format>
constexpr int kBytesBits = [] {
  if constexpr (requires { Format::kLevelBits; })
    return Format::kLevelBits;
  else
    return Format::kBits;
}();
template <typename Format>
constexpr bool kHasLevels = requires {
  Format::levels();
};
template <typename Format>
constexpr bool kHasBf16Halves = requires {
  Format::kBf16Halves;
};
template <typename Format>
constexpr bool kIsGrid = requires {
  Format::kIsGrid;
};

// PanelOf says what a format's unpacked panels are like: formats that are alike share their
// products.
template <typename Format>
struct PanelOf {
  using Type = Format;
};
template <typename Format>
requires kIsGrid<Format>
struct PanelOf<Format> {
  using Type = typename Format::Panel;
};
template <typename Format>
using Panel = typename PanelOf<Format>::Type;

// scale[g · kPanelRows] and minimum[g · kPanelRows] of group g of a block.
template <typename Format>
inline void unpack_scales(const uint8_t* block, float* scale, float* minimum) {
  constexpr int kGroups = Format::kValues / Format::kGroup;
  if constexpr (kIsGrid<Format>) {
    unpack_grid_scales<Format>(block, scale);
  } else if constexpr (kHasBf16Halves<Format>) {
    *scale = f32_from_bf16(Format::half_of(block));
  } else {
    const uint8_t* halves = block + Format::kHalvesAt;
    for (int g = 0; g < kGroups; ++g)
      scale[g * kPanelRows] = read_f16(halves) * Format::factor(block, g);
    if constexpr (Format::kMinimum) {
      const float sign = Format::kFactors ? 1.0f : -1.0f, half = sign * read_f16(halves + 2);
      for (int g = 0; g < kGroups; ++g)
        minimum[g * kPanelRows] = half * Format::factor(block, kGroups + g);
    }
  }
}

// q[0, kValues) = the bytes of a block.
template <typename Format>
inline void unpack_values(const uint8_t* block, uint8_t* q) {
  if constexpr (kIsGrid<Format>)
    unpack_points<Format>(block, q);
  else if constexpr (kHasLevels<Format>)
    store_32(q, _mm256_shuffle_epi8(Format::levels(), Format::nibbles(block)));
  else
    Format::unpack(block, q);
}

// One stored block of each of a panel's rows of W.
template <typename Format>
struct Stage {
  static constexpr int kGroups = Format::kValues / Format::kGroup;
  alignas(64) uint8_t q[kPanelRows][Format::kValues];
  alignas(64) float scale[kGroups][kPanelRows];
  alignas(64) float minimum[kGroups][kPanelRows];
};

// Behind the values of a group a panel has f32 scale[32], then f32 minimum[32] where the format has
// one: so many bytes.
template <typename Format>
constexpr size_t kScaleBytes = kPanelRows * 4 * (Format::kMinimum ? 2 : 1);

// Writes those of one group.
template <typename Format>
inline void write_scales(const float* scale, const float* minimum, std::byte* to) {
  constexpr size_t kBytes = kPanelRows * sizeof(float);
  std::memcpy(to, scale, kBytes);
  if constexpr (Format::kMinimum) std::memcpy(to + kBytes, minimum, kBytes);
}

// Unpacks the blocks of w's rows, one of each row at a time; write(stage, panel) lays out their
// groups, kGroupBytes each.
template <typename Format, size_t kGroupBytes, typename Write>
inline void pack_blocks(const WeightView& w, std::byte* panel, const Write& write) {
  Stage<Format> stage;
  if (w.rows < kPanelRows) std::memset(&stage, 0, sizeof(stage));
  const int64_t blocks = w.columns / Format::kValues;
  const auto* bytes = static_cast<const uint8_t*>(w.blocks);
  for (int64_t b = 0; b < blocks; ++b) {
    for (int64_t c = 0; c < w.rows; ++c) {
      const uint8_t* block = bytes + (c * blocks + b) * Format::kBytes;
      unpack_values<Format>(block, stage.q[c]);
      unpack_scales<Format>(block, stage.scale[0] + c, stage.minimum[0] + c);
    }
    write(stage, panel);
    panel += Stage<Format>::kGroups * kGroupBytes;
  }
}

// The layout of a block of a stored panel, kValues columns of 32 rows. Its values lie in runs of
// kRun columns: eight bits are a byte each; fewer are a nibble, and then bit 4, and bit 5, of each.
// Behind them are f16 halves [kHalves][32 rows] and bytes factors [kFactors][groups][32 rows]. How
// values lie within a run is each instruction set's own. A block takes at most 3 % more bytes than
// the file's (Q4_K and Q5_K; the others take the same, but
// MXFP4, whose scale grows from 8 bits to 16). Grids have a layout of their own (grid_block.h).
inline constexpr int kRun = 32;

template <typename Format>
struct StoredBlock {
  static constexpr int kGroups = Format::kValues / Format::kGroup;
  static constexpr int kRuns = Format::kValues / kRun;
  static constexpr int kExtraBits = Format::kBits == 8 ? 0 : Format::kBits - 4;
  static constexpr int kRunBytes =
      kPanelRows * kRun / 8 * (Format::kBits == 8 ? 8 : 4 + kExtraBits);
  static constexpr int kHalvesAt = kRuns * kRunBytes;
  static constexpr int kFactorsAt = kHalvesAt + Format::kHalves * kPanelRows * 2;
  static constexpr size_t kBytes = kFactorsAt + Format::kFactors * kGroups * kPanelRows;
  static_assert(kBytes % 64 == 0);
};

template <typename Format>
size_t stored_bytes(int64_t columns) {
  if constexpr (kIsGrid<Format>)
    return grid_bytes<Format>(columns);
  else
    return (columns / Format::kValues) * StoredBlock<Format>::kBytes;
}

// Calls body<Format>() for the format of a stored type; false if it has no integer blocks.
template <typename Body>
inline bool with_format(DType type, const Body& body) {
  switch (type) {
    case DType::q8_0:
      return body.template operator()<Q8_0>(), true;
    case DType::q4_0:
      return body.template operator()<Q4_0>(), true;
    case DType::q4_1:
      return body.template operator()<Q4_1>(), true;
    case DType::q5_0:
      return body.template operator()<Q5_0>(), true;
    case DType::q5_1:
      return body.template operator()<Q5_1>(), true;
    case DType::q4_k:
      return body.template operator()<Q4_K>(), true;
    case DType::q5_k:
      return body.template operator()<Q5_K>(), true;
    case DType::q6_k:
      return body.template operator()<Q6_K>(), true;
    case DType::iq4_nl:
      return body.template operator()<IQ4_NL>(), true;
    case DType::mxfp4:
      return body.template operator()<MXFP4>(), true;
    case DType::iq2_xxs:
      return body.template operator()<IQ2_XXS>(), true;
    case DType::iq2_xs:
      return body.template operator()<IQ2_XS>(), true;
    case DType::iq2_s:
      return body.template operator()<IQ2_S>(), true;
    case DType::iq3_xxs:
      return body.template operator()<IQ3_XXS>(), true;
    case DType::iq3_s:
      return body.template operator()<IQ3_S>(), true;
    case DType::iq1_s:
      return body.template operator()<IQ1_S>(), true;
    case DType::iq1_m:
      return body.template operator()<IQ1_M>(), true;
    default:
      return false;
  }
}

// Returns product<Format>() for the format of a stored type; nullptr if it has no integer blocks.
template <typename Product>
inline const PackedProduct* product_of_format(DType type, const Product& product) {
  const PackedProduct* found = nullptr;
  with_format(type, [&]<typename Format>() { found = product.template operator()<Format>(); });
  return found;
}

}  // namespace
}  // namespace potluck::cpu
