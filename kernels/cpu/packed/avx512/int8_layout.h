// The layout of int8 rows, and of the panels that they meet, for VPDPBUSD.
//
// All of it has internal linkage: each source compiles it for its own instruction set, and the
// linker must not choose one for all.
#pragma once

#include <immintrin.h>

#include "kernels/cpu/packed/avx512/quantize.h"
#include "kernels/cpu/packed/avx512/transpose.h"
#include "kernels/cpu/packed/formats.h"

namespace potluck::cpu::avx512 {
namespace {

constexpr int kColumns = kPanelRows;  // in a tile: a panel's

// A packed row is int8 q[kTerms][K], f32 scale[K / 32], then for each group i32 where its sums
// start, or f32 scale · Σ q where the format has a minimum; with one term then f32 lift[K / 32]
// (int8_product.cc). Two terms are q = 256 · q[0] + q[1].
template <int kTerms>
int64_t scales_at(int64_t columns) {
  return kTerms * columns;
}

template <int kTerms>
int64_t extras_at(int64_t columns) {
  return scales_at<kTerms>(columns) + columns / kBlock * 4;
}

template <typename Format, int kTerms>
int64_t lifts_at(int64_t columns) {
  return extras_at<kTerms>(columns) + columns / Format::kGroup * 4;
}

// A panel is, for each group, the bytes q [kGroup / 4][32 columns][4], then f32 scale[32], then f32
// minimum[32] where the format has one.
template <typename Format>
constexpr size_t kGroupBytes = Format::kGroup* kColumns + kScaleBytes<Format>;

template <typename Format>
size_t panel_bytes(int64_t columns) {
  return (columns / Format::kGroup) * kGroupBytes<Format>;
}

template <typename Format>
POTLUCK_INLINE_512 void write_groups(const Stage<Format>& stage, std::byte* panel) {
  constexpr int kSteps = Format::kGroup / 4;
  for (int first = 0; first < Format::kValues; first += kBlock)
    for (int side = 0; side < 2; ++side) {
      __m512i dwords[8];
      transpose_16x8(reinterpret_cast<const std::byte*>(stage.q[16 * side]) + first,
                     Format::kValues, dwords);
      for (int j = 0; j < 8; ++j) {
        const int group = first / Format::kGroup + j / kSteps;
        std::byte* to = panel + group * kGroupBytes<Format> + j % kSteps * 4 * kColumns + 64 * side;
        _mm512_store_si512(to, dwords[j]);
      }
    }
  for (int g = 0; g < Stage<Format>::kGroups; ++g)
    write_scales<Format>(stage.scale[g], stage.minimum[g],
                         panel + g * kGroupBytes<Format> + Format::kGroup * kColumns);
}

template <typename Format>
void pack_panel(const WeightView& w, std::byte* panel) {
  pack_blocks<Format, kGroupBytes<Format>>(
      w, panel, [](const Stage<Format>& stage, std::byte* to) { write_groups<Format>(stage, to); });
}

// A part of a panel; `first` is the index of its first group.
template <typename Format>
struct PanelChunk {
  const std::byte* panel;
  int64_t first, groups;

  static constexpr size_t kStride = kGroupBytes<Format>;
  const std::byte* group(int64_t g) const { return panel + g * kStride; }
  static __m512 scale(const std::byte* scales, int side) {
    return _mm512_load_ps(scales + 64 * side);
  }
  static __m512 minimum(const std::byte* scales, int side) {
    return scale(scales + 4 * kColumns, side);
  }
};

}  // namespace
}  // namespace potluck::cpu::avx512
