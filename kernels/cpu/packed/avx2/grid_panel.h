// Stored panels of grids on AVX2 (grid_block.h has their layout), opened a block of 256 columns at
// a time, in L1. Points are looked up one by one, in tables of their bytes: 8 rows at a time, two
// quads for a point of eight values, one for a point of four. Whatever a format is, its panels are
// stored and multiplied by the functions at the end.
//
// All of it has internal linkage: each source compiles it for its own instruction set, and the
// linker must not choose one for all.
#pragma once

#include "kernels/cpu/packed/avx2/stored_panel.h"
#include "kernels/cpu/packed/grid_block.h"

namespace potluck::cpu::avx2 {
namespace {

// The bits of a mask of 8 rows, at `at`, as dwords of ones.
POTLUCK_INLINE_256 __m256i rows_where(const std::byte* at) {
  const __m256i bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
  const __m256i bits = _mm256_set1_epi32(std::to_integer<int>(*at));
  return _mm256_cmpeq_epi32(_mm256_and_si256(bits, bit), bit);
}

// The indices of a point in 8 rows.
template <typename Format>
POTLUCK_INLINE_256 __m256i indices_of(const std::byte* block, int point, int side) {
  using Block = GridBlock<Format>;
  __m256i index = _mm256_cvtepu8_epi32(load_8(block + point * kPanelRows + kSide * side));
  for (int bit = 0; bit < Format::kHighBits; ++bit)
    index = _mm256_or_si256(index,
                            _mm256_and_si256(rows_where(block + Block::high_at(bit, point) + side),
                                             _mm256_set1_epi32(256 << bit)));
  return index;
}

// Points a and b of eight bytes, side by side.
POTLUCK_INLINE_256 __m128i two_points(const uint64_t* points, uint32_t a, uint32_t b) {
  const auto first = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(points + a));
  return _mm_insert_epi64(first, points[b], 1);
}

// Puts quad `quad` of the block, of 8 rows, with its signs or shifts.
template <typename Layout>
POTLUCK_INLINE_256 void put_points(__m256i q, const std::byte* block, int quad, int side,
                                   std::byte* panel) {
  using Format = typename Layout::Format;
  using Block = GridBlock<Format>;
  if constexpr (Format::kSigned) {
    uint32_t signs;
    std::memcpy(&signs, block + Block::kSignsAt + quad * Block::kFourBytes + 4 * side, 4);
    const __m256i under = _mm256_sub_epi8(_mm256_set1_epi8(2 * Format::kZero % 256), q);
    q = _mm256_blendv_epi8(q, under, byte_mask(signs));
  } else {
    const int shift = quad * 4 / Format::kShiftValues;
    const __m256i below = rows_where(block + Block::kShiftsAt + shift * Block::kMaskBytes + side);
    q = _mm256_add_epi8(q, _mm256_or_si256(below, _mm256_set1_epi8(1)));  // −1 or 1
  }
  put_quad<Layout>(Layout::arrange(q), quad / kQuads, quad % kQuads, side, panel);
}

// Opens a point of 8 rows.
template <typename Layout>
POTLUCK_INLINE_256 void open_point(const std::byte* block, int point, int side, std::byte* panel) {
  using Format = typename Layout::Format;
  const auto& points = Format::bytes().points;
  alignas(32) uint32_t at[kSide];
  store_32(at, indices_of<Format>(block, point, side));
  if constexpr (Format::kPoint == 8) {
    const auto pairs = [&](int r) {  // rows r and r + 1, r + 4 and r + 5
      return _mm256_set_m128i(two_points(points, at[r + 4], at[r + 5]),
                              two_points(points, at[r], at[r + 1]));
    };
    const __m256 a = _mm256_castsi256_ps(pairs(0)), b = _mm256_castsi256_ps(pairs(2));
    put_points<Layout>(_mm256_castps_si256(_mm256_shuffle_ps(a, b, 0x88)), block, 2 * point, side,
                       panel);
    put_points<Layout>(_mm256_castps_si256(_mm256_shuffle_ps(a, b, 0xdd)), block, 2 * point + 1,
                       side, panel);
  } else {
    const __m256i q = _mm256_setr_epi32(points[at[0]], points[at[1]], points[at[2]], points[at[3]],
                                        points[at[4]], points[at[5]], points[at[6]], points[at[7]]);
    put_points<Layout>(q, block, point, side, panel);
  }
}

template <typename Layout>
POTLUCK_INLINE_256 void open_grid_scales(const std::byte* block, std::byte* panel) {
  using Format = typename Layout::Format;
  using Block = GridBlock<Format>;
  for (int side = 0; side < kSides; ++side) {
    const __m256 unit = _mm256_set1_ps(Format::Levels::kUnit);
    const __m256 half = _mm256_cvtph_ps(load_16(block + Block::kHalvesAt + 2 * kSide * side));
    const __m256 d = _mm256_mul_ps(half, unit);
    for (int g = 0; g < Block::kGroups; ++g) {
      const __m256i both =
          _mm256_cvtepu8_epi32(load_8(block + Block::kStepsAt + g / 2 * kPanelRows + kSide * side));
      const __m256i step = low_nibbles(_mm256_srli_epi32(both, g % 2 * 4));
      const __m256i factor = _mm256_add_epi32(_mm256_add_epi32(step, step), _mm256_set1_epi32(1));
      auto* to = reinterpret_cast<float*>(panel + g * kGroupBytes<Layout> + Layout::kValueBytes);
      _mm256_store_ps(to + kSide * side, _mm256_mul_ps(d, _mm256_cvtepi32_ps(factor)));
    }
  }
}

// Calls body(chunk) for one block after another, opened in `work`.
template <typename Layout, typename Body>
POTLUCK_INLINE_256 void each_grid_chunk(const std::byte* stored, int64_t columns, std::byte* work,
                                        const Body& body) {
  using Format = typename Layout::Format;
  using Block = GridBlock<Format>;
  for (int64_t b = 0; b < columns / Format::kValues; ++b, stored += Block::kBytes) {
    for (int point = 0; point < Block::kPoints; ++point)
      for (int side = 0; side < kSides; ++side) open_point<Layout>(stored, point, side, work);
    open_grid_scales<Layout>(stored, work);
    body(Chunk{work, b * Block::kGroups, Block::kGroups});
  }
}

template <typename Layout>
void store_panel(const WeightView& w, std::byte* stored) {
  if constexpr (kIsGrid<typename Layout::Format>)
    store_grid_panel<typename Layout::Format>(w, stored);
  else
    store_blocks<Layout>(w, stored);
}

template <typename Kernel, typename Layout>
void multiply_stored(const PanelProduct& p) {
  const int64_t chunks = (p.columns + kChunk - 1) / kChunk;
  Prefetch prefetch(p, chunks * tile_count(p.rows, kRowsMax));
  const auto body = [&](const Chunk& chunk) { multiply_chunk<Kernel>(p, chunk, prefetch); };
  if constexpr (kIsGrid<typename Layout::Format>)
    each_grid_chunk<Layout>(p.panel, p.columns, p.work, body);
  else
    each_block_chunk<Layout>(p.panel, p.columns, p.work, body);
}

}  // namespace
}  // namespace potluck::cpu::avx2
