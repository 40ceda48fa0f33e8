// AVX2's products lay out their operands in quads: 4 columns of 8 rows of W are a vector, eight
// quads a run of 32 columns. A Layout says how quads become a group of a panel:
//   kValueBytes: how many bytes the values of a group take;
//   place(quad): its bytes in the order in which they are stored and put;
//   with_sign(bytes): as they are put, with a sign or without;
//   arrange(quad): both;
//   put(arranged, quad of the group, rows / 8, group): writes them to the group's values.
// Behind the values lie f32 scale[32], then f32 minimum[32] where the format has one.
//
// All of it has internal linkage: each source compiles it for its own instruction set, and the
// linker must not choose one for all.
#pragma once

#include <cmath>
#include <cstring>

#include "kernels/cpu/packed/avx2/tiles.h"
#include "kernels/cpu/packed/formats.h"
#include "kernels/cpu/packed/vectors.h"

namespace potluck::cpu::avx2 {
namespace {

constexpr int kQuads = 8;                   // in a run
constexpr int kSide = 8;                    // rows of a quad
constexpr int kSides = kPanelRows / kSide;  // in a panel
constexpr int kBlock = 32;                  // values of x that share a scale
constexpr int kQuadBytes = 32 * kSides;     // quad j of all 32 rows

template <typename Layout>
constexpr size_t kGroupBytes = Layout::kValueBytes + kScaleBytes<typename Layout::Format>;

template <typename Layout>
size_t panel_bytes(int64_t columns) {
  return (columns / Layout::Format::kGroup) * kGroupBytes<Layout>;
}

// Loads the quads of 8 rows of 32 bytes, `stride` apart.
POTLUCK_INLINE_256 void take_quads(const uint8_t* rows, size_t stride, __m256i (&quads)[kQuads]) {
  for (int r = 0; r < kSide; ++r) quads[r] = load_32(rows + r * stride);
  transpose_8x8(quads);
}

// Puts quad j of a run of a block into its panel.
template <typename Layout>
POTLUCK_INLINE_256 void put_quad(__m256i arranged, int run, int j, int side, std::byte* panel) {
  constexpr int kOfGroup = Layout::Format::kGroup / 4;
  const int quad = run * kQuads + j;
  Layout::put(arranged, quad % kOfGroup, side, panel + (quad / kOfGroup) * kGroupBytes<Layout>);
}

template <typename Layout>
void pack_panel(const WeightView& w, std::byte* panel) {
  using Format = typename Layout::Format;
  pack_blocks<Format, kGroupBytes<Layout>>(w, panel, [](const Stage<Format>& stage, std::byte* to) {
    for (int run = 0; run < Format::kValues / kRun; ++run)
      for (int side = 0; side < kSides; ++side) {
        __m256i quads[kQuads];
        take_quads(stage.q[side * kSide] + run * kRun, Format::kValues, quads);
#pragma GCC unroll 8
        for (int j = 0; j < kQuads; ++j)
          put_quad<Layout>(Layout::arrange(quads[j]), run, j, side, to);
      }
    for (int g = 0; g < Stage<Format>::kGroups; ++g)
      write_scales<Format>(stage.scale[g], stage.minimum[g],
                           to + g * kGroupBytes<Layout> + Layout::kValueBytes);
  });
}

// Some groups of a panel; `first` is the index of the first among all.
struct Chunk {
  const std::byte* panel;
  int64_t first, groups;
};

// A row's values of one block as int32, with their scale. If a value is not finite (the processor
// makes the least integer of it) the scale is NaN, and so is every product; the integers are 0
// then, whose sums do not overflow.
struct QuantizedBlock {
  __m256i values[4];
  float scale;
};

// Fewer than 32 values are filled up with zeros.
POTLUCK_INLINE_256 QuantizedBlock quantize_block(const float* x, int64_t n, float reach) {
  __m256 parts[4], most = _mm256_setzero_ps();
  for (int i = 0; i < 4; ++i) {
    parts[i] = _mm256_maskload_ps(x + 8 * i, first_lanes(n - 8 * i));
    most = _mm256_max_ps(most, _mm256_andnot_ps(_mm256_set1_ps(-0.0f), parts[i]));
  }
  __m128 four = _mm_max_ps(_mm256_castps256_ps128(most), _mm256_extractf128_ps(most, 1));
  four = _mm_max_ps(four, _mm_movehl_ps(four, four));
  const float all = _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
  const __m256 inverse = _mm256_set1_ps(inverse_step(all, reach));
  QuantizedBlock block;
  block.scale = all / reach;
  __m256i least = _mm256_setzero_si256();
  for (int i = 0; i < 4; ++i) {
    block.values[i] = _mm256_cvtps_epi32(_mm256_mul_ps(parts[i], inverse));
    least = _mm256_min_epi32(least, block.values[i]);
  }
  const __m256i lost = _mm256_cmpeq_epi32(least, _mm256_set1_epi32(INT32_MIN));
  if (!_mm256_testz_si256(lost, lost)) return {{}, NAN};
  return block;
}

// The sum of one of a block's equal parts, of which there are one or two.
POTLUCK_INLINE_256 int32_t sum_of(const QuantizedBlock& block, int part, int parts) {
  __m256i eight = _mm256_add_epi32(block.values[2 * part], block.values[2 * part + 1]);
  if (parts == 1)
    eight = _mm256_add_epi32(eight, _mm256_add_epi32(block.values[2], block.values[3]));
  __m128i four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
  four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1)));
}

// Two vectors of int32 as one of int16, in order.
POTLUCK_INLINE_256 __m256i to_int16(__m256i low, __m256i high) {
  return _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xd8);
}

POTLUCK_INLINE_256 __m256 broadcast(const std::byte* p) {
  float value;
  std::memcpy(&value, p, 4);
  return _mm256_set1_ps(value);
}

}  // namespace
}  // namespace potluck::cpu::avx2
