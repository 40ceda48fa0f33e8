// Stored panels of AVX2: StoredBlock (formats.h), for products that meet few rows. A panel is
// unpacked a chunk at a time, in L1, into what its product takes.
//
// A run of 32 columns of the 32 rows lies in arranged quads (layout.h). Eight bits: [8][4 sides].
// Fewer: [4][4 sides] bytes whose low nibbles are quads 0 to 3 and whose high ones are quads 4 to
// 7; then [extra][4 sides] bytes with the higher bits of the same byte of every quad. With five
// bits, bit j is quad j's; with six, the first bytes have quads 0 to 3, the second 4 to 7, two bits
// each.
//
// All of it has internal linkage: each source compiles it for its own instruction set, and the
// linker must not choose one for all.
#pragma once

#include <algorithm>

#include "kernels/cpu/packed/avx2/multiply.h"
#include "kernels/cpu/packed/vectors.h"

namespace potluck::cpu::avx2 {
namespace {

constexpr int64_t kChunk = 256;  // columns unpacked at a time: the largest block

POTLUCK_INLINE_256 __m256i shift_bits(__m256i v, int left) {
  return left >= 0 ? _mm256_slli_epi16(v, left) : _mm256_srli_epi16(v, -left);
}

// The place of the bits above the nibbles of a run's quad j.
template <typename Format>
struct HighBits {
  static constexpr int kBits = StoredBlock<Format>::kExtraBits;
  static constexpr int kQuadsABytes = kQuads / (kBits ? kBits : 1);  // quads that share bytes
  static constexpr uint8_t kMask = (16 << kBits) - 16;

  static constexpr int at(int j) { return (kQuads / 2 + j / kQuadsABytes) * kQuadBytes; }
  static constexpr int left(int j) { return 4 - j % kQuadsABytes * kBits; }  // from there to bit 4
};

// Arranged quad j of one side of a run.
template <typename Layout>
POTLUCK_INLINE_256 __m256i unpack_quad(const uint8_t* from, int j) {
  using Format = typename Layout::Format;
  if constexpr (Format::kBits == 8) return load_32(from + j * kQuadBytes);
  const __m256i pair = load_32(from + j % 4 * kQuadBytes);
  const __m256i nibble = j < 4 ? low_nibbles(pair) : high_nibbles(pair);
  if constexpr (kHasLevels<Format>)
    return _mm256_shuffle_epi8(Layout::with_sign(Format::levels()), nibble);
  using High = HighBits<Format>;
  if constexpr (High::kBits == 0) return nibble;
  const __m256i high = shift_bits(load_32(from + High::at(j)), High::left(j));
  return _mm256_or_si256(nibble, _mm256_and_si256(high, _mm256_set1_epi8(High::kMask)));
}

// Returns f16 [8] at `halves`, each times its byte of `factors` where the format has some.
template <typename Format>
POTLUCK_INLINE_256 __m256 scale_of(const std::byte* halves, const std::byte* factors) {
  const __m128i bits = load_16(halves);
  if constexpr (kHasBf16Halves<Format>)
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
  const __m256 half = _mm256_cvtph_ps(bits);
  if constexpr (Format::kFactors == 0) return half;
  const __m128i bytes = load_8(factors);
  const __m256i factor =
      Format::kFactors == 1 ? _mm256_cvtepi8_epi32(bytes) : _mm256_cvtepu8_epi32(bytes);
  return _mm256_mul_ps(half, _mm256_cvtepi32_ps(factor));
}

template <typename Layout>
POTLUCK_INLINE_256 void unpack_block_scales(const std::byte* block, std::byte* panel) {
  using Format = typename Layout::Format;
  using Block = StoredBlock<Format>;
  for (int g = 0; g < Block::kGroups; ++g)
    for (int side = 0; side < kSides; ++side) {
      const std::byte* halves = block + Block::kHalvesAt + 2 * kSide * side;
      const std::byte* factors = block + Block::kFactorsAt + g * kPanelRows + kSide * side;
      auto* to = reinterpret_cast<float*>(panel + g * kGroupBytes<Layout> + Layout::kValueBytes) +
                 kSide * side;
      _mm256_store_ps(to, scale_of<Format>(halves, factors));
      if constexpr (Format::kMinimum) {
        const __m256 minimum =
            scale_of<Format>(halves + 2 * kPanelRows, factors + Block::kGroups * kPanelRows);
        _mm256_store_ps(to + kPanelRows,
                        Format::kFactors ? minimum : _mm256_sub_ps(_mm256_setzero_ps(), minimum));
      }
    }
}

template <typename Layout>
POTLUCK_INLINE_256 void unpack_block(const std::byte* block, std::byte* panel) {
  using Format = typename Layout::Format;
  using Block = StoredBlock<Format>;
  for (int run = 0; run < Block::kRuns; ++run)
    for (int side = 0; side < kSides; ++side) {
      const auto* from =
          reinterpret_cast<const uint8_t*>(block + run * Block::kRunBytes) + 32 * side;
#pragma GCC unroll 8
      for (int j = 0; j < kQuads; ++j)
        put_quad<Layout>(unpack_quad<Layout>(from, j), run, j, side, panel);
    }
  unpack_block_scales<Layout>(block, panel);
}

// Calls body(chunk) for one part of a stored panel after another, unpacked in `work`.
template <typename Layout, typename Body>
POTLUCK_INLINE_256 void each_block_chunk(const std::byte* stored, int64_t columns, std::byte* work,
                                         const Body& body) {
  using Format = typename Layout::Format;
  using Block = StoredBlock<Format>;
  constexpr int64_t kBlocks = kChunk / Format::kValues;
  const int64_t blocks = columns / Format::kValues;
  for (int64_t b = 0; b < blocks; b += kBlocks) {
    const int64_t count = std::min(kBlocks, blocks - b);
    for (int64_t i = 0; i < count; ++i)
      unpack_block<Layout>(stored + (b + i) * Block::kBytes,
                           work + (i * Block::kGroups) * kGroupBytes<Layout>);
    body(Chunk{work, b * Block::kGroups, count * Block::kGroups});
  }
}

// The quads of one side of a run.
template <typename Format>
POTLUCK_INLINE_256 void store_run(const __m256i (&quads)[kQuads], uint8_t* to) {
  if constexpr (Format::kBits == 8) {
    for (int j = 0; j < kQuads; ++j) store_32(to + j * kQuadBytes, quads[j]);
    return;
  }
  for (int j = 0; j < kQuads / 2; ++j)
    store_32(to + j * kQuadBytes,
             _mm256_or_si256(low_nibbles(quads[j]),
                             _mm256_slli_epi16(low_nibbles(quads[j + kQuads / 2]), 4)));
  using High = HighBits<Format>;
  for (int first = 0; High::kBits && first < kQuads; first += High::kQuadsABytes) {
    __m256i bits = _mm256_setzero_si256();
#pragma GCC unroll 8
    for (int j = 0; j < High::kQuadsABytes; ++j) {
      const __m256i high = _mm256_and_si256(quads[first + j], _mm256_set1_epi8(High::kMask));
      bits = _mm256_or_si256(bits, shift_bits(high, -High::left(j)));
    }
    store_32(to + High::at(first), bits);
  }
}

// Stores the halves and factors of a block of row c.
template <typename Format>
void store_scales(const uint8_t* block, int64_t c, std::byte* stored) {
  using Block = StoredBlock<Format>;
  std::byte* halves = stored + Block::kHalvesAt + 2 * c;
  std::byte* factors = stored + Block::kFactorsAt + c;
  if constexpr (kHasBf16Halves<Format>) {
    const uint16_t half = Format::half_of(block);
    std::memcpy(halves, &half, sizeof(half));
    return;
  }
  const uint8_t* from = block + Format::kHalvesAt;
  for (int i = 0; i < Format::kHalves; ++i)
    std::memcpy(halves + 2 * kPanelRows * i, from + 2 * i, 2);
  for (int i = 0; i < Format::kFactors * Block::kGroups; ++i)
    factors[i * kPanelRows] = static_cast<std::byte>(Format::factor(block, i));
}

// Stores W's rows, at most 32, with zeros in the place of the others.
template <typename Layout>
void store_blocks(const WeightView& w, std::byte* stored) {
  using Format = typename Layout::Format;
  using Block = StoredBlock<Format>;
  Stage<Format> stage;
  if (w.rows < kPanelRows) {
    std::memset(&stage, 0, sizeof(stage));
    std::memset(stored, 0, stored_bytes<Format>(w.columns));
  }
  const int64_t blocks = w.columns / Format::kValues;
  const auto* bytes = static_cast<const uint8_t*>(w.blocks);
  for (int64_t b = 0; b < blocks; ++b, stored += Block::kBytes) {
    for (int64_t c = 0; c < w.rows; ++c) {
      const uint8_t* block = bytes + (c * blocks + b) * Format::kBytes;
      if constexpr (kHasLevels<Format>)
        store_32(stage.q[c], Format::nibbles(block));
      else
        Format::unpack(block, stage.q[c]);
      store_scales<Format>(block, c, stored);
    }
    for (int run = 0; run < Block::kRuns; ++run)
      for (int side = 0; side < kSides; ++side) {
        __m256i quads[kQuads];
        take_quads(stage.q[side * kSide] + run * kRun, Format::kValues, quads);
        for (__m256i& quad : quads)
          quad = kHasLevels<Format> ? Layout::place(quad) : Layout::arrange(quad);
        store_run<Format>(quads,
                          reinterpret_cast<uint8_t*>(stored + run * Block::kRunBytes) + 32 * side);
      }
  }
}

}  // namespace
}  // namespace potluck::cpu::avx2
