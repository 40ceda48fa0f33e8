// Products of 16-bit integers by TDPBSSD, for rows and weights that must keep 16 bits each: in
// chunks of 256 columns q = 256 · high + low, both int8, so that
//   Σ q_x · q_w ≈ 65536 · Σ high · high + 256 · (Σ high · low + Σ low · high),
// in two tiles of int32 sums, which leave them once a chunk and meet its scales dx · dw in AVX-512
// registers. Σ low · low, left out, is under 2⁻¹⁶ of a chunk's Σ max|x| · max|w|: as much as the
// rounding to 16 bits. W may be of any type: its f32 values are rounded to 16 bits of a chunk's
// greatest.
//
// Three products of 64 values take the tile unit as long as one and a half in bf16, and 4 bytes of
// x and w are moved where bf16 with two terms of each would move 8. A panel's chunk (16 KB) stays
// in L1 for all rows of x, which come from L2. (Scaling a tile's sums while the next one's are
// multiplied gained nothing, two apart neither.) Best: 0.90 TFLOP/s a core, as fast as bf16 with
// two terms of x alone; int8 of two terms by VPDPBUSD 0.28 (Xeon with AMX, 2026-11-26).
#include <immintrin.h>

#include <cmath>

#include "kernels/cpu/packed/amx.h"
#include "kernels/cpu/packed/amx/configure_tiles.h"
#include "kernels/cpu/packed/amx/tiles.h"
#include "kernels/cpu/packed/avx512/dequantize.h"
#include "kernels/cpu/packed/avx512/quantize.h"
#include "kernels/cpu/packed/avx512/tiles.h"
#include "kernels/cpu/packed/avx512/transpose.h"
#include "kernels/cpu/packed/vectors.h"

namespace potluck::cpu::amx {
namespace {

constexpr int64_t kStep = 64;    // values in a tile's row
constexpr int64_t kChunk = 256;  // values that share a scale
constexpr int kSide = 16;        // columns in a tile of sums
constexpr float kReach = 127.0f * 256.0f;
constexpr int64_t kTileBytes = 16 * kStep;
constexpr int64_t kStepBytes = 4 * kTileBytes;  // in a panel: [term][side][16 · 4 values of 16]
constexpr size_t kScaleBytes = kPanelRows * sizeof(float);

int64_t padded_columns(int64_t columns) {
  return tile_count(columns, kStep) * kStep;
}

// A packed row is, for each step, int8 high[64], low[64]; then f32 scale · 16 of each chunk.
int64_t scales_at(int64_t columns) {
  return 2 * padded_columns(columns);
}

size_t row_bytes(int64_t columns) {
  return odd_lines(scales_at(columns) + tile_count(columns, kChunk) * 4);
}

// A panel is, for each chunk, its steps, then f32 scale · 16 of 32 columns.
size_t panel_bytes(int64_t columns) {
  return (padded_columns(columns) / kStep * kStepBytes) + tile_count(columns, kChunk) * kScaleBytes;
}

// max |x[i]|, i < n.
POTLUCK_INLINE_512 float most_of(const float* x, int64_t n) {
  __m512 most = _mm512_setzero_ps();
  for (int64_t i = 0; i < n; i += 16)
    most = _mm512_max_ps(most,
                         _mm512_abs_ps(_mm512_maskz_loadu_ps(avx512::first_lanes(n - i), x + i)));
  return _mm512_reduce_max_ps(most);
}

// Writes the terms of round(x · kReach / max|x|) of a chunk's n values, and zeros up to a whole
// step, where high(i) and low(i) say; returns the scale, NaN if a value is not finite.
template <typename High, typename Low>
POTLUCK_INLINE_512 float write_terms(const float* x, int64_t n, const High& high, const Low& low) {
  const float most = most_of(x, n);
  const __m512 inverse = _mm512_set1_ps(inverse_step(most, kReach));
  __m512i least = _mm512_setzero_si512();
  for (int64_t i = 0; i < padded_columns(n); i += 16) {
    const __m512 values = _mm512_maskz_loadu_ps(avx512::first_lanes(n - i), x + i);
    const __m512i q = _mm512_cvtps_epi32(_mm512_mul_ps(values, inverse));
    least = _mm512_min_epi32(least, q);
    const __m512i upper = _mm512_srai_epi32(_mm512_add_epi32(q, _mm512_set1_epi32(128)), 8);
    store_16(high(i), _mm512_cvtepi32_epi8(upper));
    store_16(low(i), _mm512_cvtepi32_epi8(q));
  }
  return avx512::some_not_finite(least) ? NAN : most / kReach;
}

// A sum is 1/256 of what it stands for; each of its two scales makes up for 16 of that.
float scale_of_sums(float scale) {
  return scale * 16.0f;
}

void pack_row(const float* x, int64_t columns, std::byte* packed) {
  std::byte* scales = packed + scales_at(columns);
  for (int64_t first = 0; first < columns; first += kChunk) {
    const auto at = [&](int64_t i) { return packed + (first + i) / kStep * 2 * kStep + i % kStep; };
    const float scale = write_terms(x + first, std::min(kChunk, columns - first), at,
                                    [&](int64_t i) { return at(i) + kStep; });
    const float of_sums = scale_of_sums(scale);
    std::memcpy(scales + first / kChunk * 4, &of_sums, 4);
  }
}

// A chunk of 32 rows of W before it lies as tiles do.
struct Stage {
  alignas(64) std::byte q[2][kPanelRows][kChunk];  // high, low
  alignas(64) float scale[kPanelRows];
};

void stage_chunk(const WeightView& w, int64_t first, int64_t n, Stage& stage) {
  const BlockShape shape = block_shape(w.type);
  const size_t row = potluck::row_bytes(w.type, w.columns);
  const auto* blocks =
      static_cast<const std::byte*>(w.blocks) + (first / shape.values * shape.bytes);
  alignas(64) float part[kChunk];
  for (int64_t c = 0; c < w.rows; ++c) {
    avx512::dequantize(w.type, blocks + c * row, n, part);
    stage.scale[c] = scale_of_sums(write_terms(
        part, n, [&](int64_t i) { return stage.q[0][c] + i; },
        [&](int64_t i) { return stage.q[1][c] + i; }));
  }
}

void pack_panel(const WeightView& w, std::byte* panel) {
  Stage stage;
  if (w.rows < kPanelRows) std::memset(&stage, 0, sizeof(stage));
  for (int64_t first = 0; first < w.columns; first += kChunk, panel += kScaleBytes) {
    const int64_t n = std::min(kChunk, w.columns - first);
    stage_chunk(w, first, n, stage);
    for (int64_t step = 0; step < padded_columns(n); step += kStep, panel += kStepBytes)
      for (int tile = 0; tile < 4; ++tile)  // term and side
        for (int half = 0; half < 2; ++half) {
          __m512i dwords[8];
          avx512::transpose_16x8(stage.q[tile / 2][tile % 2 * kSide] + step + 32 * half, kChunk,
                                 dwords);
          for (int j = 0; j < 8; ++j)
            _mm512_store_si512(panel + tile * kTileBytes + (8 * half + j) * 64, dwords[j]);
        }
    std::memcpy(panel, stage.scale, kScaleBytes);
  }
}

// The sums of a tile's rows: high · high and the mixed ones, over 16 columns and the other 16.
struct Sums {
  alignas(64) int32_t of[4][kHeightMax][kSide];
};

// One chunk of a panel, [steps] and the scales behind them.
struct Chunk {
  int64_t index, steps;
  const std::byte* panel;
  const std::byte* scales() const { return panel + steps * kStepBytes; }
};

// Multiplies a chunk of the rows at `x`.
POTLUCK_INLINE_512 void multiply_chunk(const Chunk& chunk, const PackedRows& x, Sums& sums) {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  const std::byte* a = x.data + chunk.index * 2 * kChunk;
  const std::byte* b = chunk.panel;
  for (int64_t step = 0; step < chunk.steps; ++step, a += 2 * kStep, b += kStepBytes) {
    _tile_loadd(4, a, x.stride);
    _tile_loadd(6, b, kStep);
    _tile_dpbssd(0, 4, 6);
    _tile_loadd(7, b + 2 * kTileBytes, kStep);
    _tile_dpbssd(1, 4, 7);
    _tile_loadd(5, a + kStep, x.stride);
    _tile_dpbssd(1, 5, 6);
    _tile_loadd(6, b + kTileBytes, kStep);
    _tile_dpbssd(2, 4, 6);
    _tile_loadd(7, b + 3 * kTileBytes, kStep);
    _tile_dpbssd(3, 4, 7);
    _tile_dpbssd(3, 5, 6);
  }
  _tile_stored(0, sums.of[0], kSide * 4);
  _tile_stored(1, sums.of[1], kSide * 4);
  _tile_stored(2, sums.of[2], kSide * 4);
  _tile_stored(3, sums.of[3], kSide * 4);
}

// The part of out of a tile of rows, and what its sums are multiplied by. `keep` counts for the
// first chunk alone.
struct Target {
  const std::byte* dx;
  size_t dx_stride;
  float* out;
  int64_t out_stride;
  const float* keep;
  __mmask16 before[2], some[2];  // columns that go on from out, and that are written
  __m512 scale[2];
};

Target target_of(const PanelProduct& p, const Chunk& chunk, int64_t row) {
  const bool first = chunk.index == 0, fresh = first && !p.keep;
  const __mmask16 left = avx512::first_lanes(p.count), right = avx512::first_lanes(p.count - kSide);
  return {p.x[row] + scales_at(p.columns) + chunk.index * 4,
          p.x.stride,
          p.out + row * p.out_stride,
          p.out_stride,
          first && p.keep ? p.keep + row : nullptr,
          {fresh ? __mmask16{0} : left, fresh ? __mmask16{0} : right},
          {left, right},
          {_mm512_load_ps(chunk.scales()), _mm512_load_ps(chunk.scales() + 64)}};
}

// out[r, ·] = keep[r] · out[r, ·] + dx · dw · (256 · high + mixed), r in [skip, height).
void add_sums(const Target& to, const Sums& sums, int64_t skip, int64_t height) {
  for (int64_t r = skip; r < height; ++r)
    for (int side = 0; side < 2; ++side) {
      const __m512i high = _mm512_slli_epi32(_mm512_load_si512(sums.of[2 * side][r]), 8);
      const __m512i all = _mm512_add_epi32(high, _mm512_load_si512(sums.of[2 * side + 1][r]));
      const __m512 dx = avx512::broadcast(to.dx + r * to.dx_stride);
      float* out = to.out + r * to.out_stride + kSide * side;
      __m512 before = _mm512_maskz_loadu_ps(to.before[side], out);
      if (to.keep) before = _mm512_mul_ps(before, _mm512_set1_ps(to.keep[r]));
      _mm512_mask_storeu_ps(
          out, to.some[side],
          _mm512_fmadd_ps(_mm512_cvtepi32_ps(all), _mm512_mul_ps(dx, to.scale[side]), before));
    }
}

void multiply(const PanelProduct& p) {
  const RowCut cut{p.rows};
  configure_tiles(cut.height, kStep);
  Prefetch prefetch(p, cut.tiles * tile_count(p.columns, kChunk));
  Sums sums;
  Chunk chunk{0, 0, p.panel};
  for (int64_t first = 0; first < p.columns; first += kChunk, ++chunk.index) {
    chunk.steps = tile_count(std::min(kChunk, p.columns - first), kStep);
    for (int64_t tile = 0; tile < cut.tiles; ++tile) {
      prefetch.step();
      multiply_chunk(chunk, p.x.from(cut.first(tile)), sums);
      add_sums(target_of(p, chunk, cut.first(tile)), sums, cut.fresh(tile), cut.height);
    }
    chunk.panel = chunk.scales() + kScaleBytes;
  }
}

constexpr PackedProduct kProduct = {"int16 (AMX)", kChunk,     row_bytes, pack_row,
                                    panel_bytes,   pack_panel, multiply,  Numbers::integers};

}  // namespace

const PackedProduct& int16_product() {
  return kProduct;
}

}  // namespace potluck::cpu::amx
