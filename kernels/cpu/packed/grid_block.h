// The layout of a block of a stored panel of a grid format, 256 columns of 32 rows, in parts that
// lie one behind the other:
//   indices: the low byte of each, [points][32 rows];
//   their higher bits: [kHighBits][points] masks of 32 rows;
//   signs, where values have them: four bits [64 fours of columns][32 rows], set for a minus;
//   shifts, where points have them: [256 / kShiftValues] masks of 32 rows, set for ⅛ under;
//   steps: four bits [groups][32 rows], two groups to a byte, the even one low;
//   f16 d [32 rows].
// It takes at most 7 % more bytes than the file's: seven signs become eight.
//
// All of it has internal linkage: each source compiles it for its own instruction set, and the
// linker must not choose one for all.
#pragma once

#include <cstring>

#include "kernels/cpu/packed/grid_formats.h"
#include "kernels/cpu/packed/packed_product.h"

namespace potluck::cpu {
namespace {

template <typename Format>
struct GridBlock {
  static constexpr int kPoints = Format::kValues / Format::kPoint;
  static constexpr int kGroups = Format::kValues / Format::kGroup;
  static constexpr int kShifts = Format::kSigned ? 0 : Format::kValues / Format::kShiftValues;
  static constexpr int kMaskBytes = kPanelRows / 8;
  static constexpr int kHighAt = kPoints * kPanelRows;
  static constexpr int kSignsAt = kHighAt + Format::kHighBits * kPoints * kMaskBytes;
  static constexpr int kFourBytes = kPanelRows / 2;  // the signs of four columns
  static constexpr int kShiftsAt =
      kSignsAt + (Format::kSigned ? Format::kValues / 4 * kFourBytes : 0);
  static constexpr int kStepsAt = kShiftsAt + kShifts * kMaskBytes;
  static constexpr int kHalvesAt = kStepsAt + kGroups / 2 * kPanelRows;
  static constexpr size_t kBytes = (kHalvesAt + kPanelRows * 2 + 63) / 64 * 64;

  static constexpr int high_at(int bit, int point) {
    return kHighAt + (bit * kPoints + point) * kMaskBytes;
  }
};

template <typename Format>
size_t grid_bytes(int64_t columns) {
  return (columns / Format::kValues) * GridBlock<Format>::kBytes;
}

// One stored block of each of a panel's rows, its parts as bytes or words.
template <typename Format>
struct GridStage {
  using Block = GridBlock<Format>;
  alignas(32) uint16_t index[Block::kPoints][kPanelRows];
  alignas(32) uint8_t signs[Format::kSigned ? Format::kValues / 8 : 1][kPanelRows];  // of 8 values
  alignas(32) uint8_t below[Format::kSigned ? 1 : Block::kShifts][kPanelRows];       // all ones
  alignas(32) uint8_t step[Block::kGroups][kPanelRows];
  uint16_t half[kPanelRows];

  void take(const uint8_t* b, int64_t c) {
    for (int i = 0; i < Block::kPoints; ++i) index[i][c] = Format::index(b, i);
    if constexpr (Format::kSigned)
      for (int i = 0; i < Format::kValues / 8; ++i) signs[i][c] = Format::signs(b, i);
    else
      for (int i = 0; i < Block::kShifts; ++i)
        below[i][c] = Format::below(b, i * Format::kShiftValues / 8) ? 255 : 0;
    for (int g = 0; g < Block::kGroups; ++g) step[g][c] = Format::step(b, g);
    half[c] = Format::half(b);
  }
};

// Bit `bit` of 32 words.
inline uint32_t mask_of_words(const uint16_t* words, int bit) {
  const __m256i low = _mm256_slli_epi16(load_32(words), 15 - bit);
  const __m256i high = _mm256_slli_epi16(load_32(words + 16), 15 - bit);
  return _mm256_movemask_epi8(_mm256_permute4x64_epi64(_mm256_packs_epi16(low, high), 0xd8));
}

// The low bytes of 32 words.
inline __m256i low_bytes(__m256i low, __m256i high) {
  const __m256i byte = _mm256_set1_epi16(255);
  return _mm256_permute4x64_epi64(
      _mm256_packus_epi16(_mm256_and_si256(low, byte), _mm256_and_si256(high, byte)), 0xd8);
}

// The nibbles of each two bytes as one.
inline __m256i paired_nibbles(__m256i bytes) {
  return _mm256_or_si256(bytes, _mm256_srli_epi16(bytes, 4));
}

inline void store_mask(std::byte* to, uint32_t mask) {
  std::memcpy(to, &mask, sizeof(mask));
}

template <typename Format>
void store_grid_block(const GridStage<Format>& stage, std::byte* to) {
  using Block = GridBlock<Format>;
  for (int i = 0; i < Block::kPoints; ++i) {
    store_32(to + i * kPanelRows, low_bytes(load_32(stage.index[i]), load_32(stage.index[i] + 16)));
    for (int bit = 0; bit < Format::kHighBits; ++bit)
      store_mask(to + Block::high_at(bit, i), mask_of_words(stage.index[i], 8 + bit));
  }
  if constexpr (Format::kSigned)
    for (int i = 0; i < Format::kValues / 8; ++i) {
      const __m256i signs = load_32(stage.signs[i]);
      store_32(to + Block::kSignsAt + 2 * i * Block::kFourBytes,
               low_bytes(paired_nibbles(low_nibbles(signs)), paired_nibbles(high_nibbles(signs))));
    }
  else
    for (int i = 0; i < Block::kShifts; ++i)
      store_mask(to + Block::kShiftsAt + i * Block::kMaskBytes,
                 _mm256_movemask_epi8(load_32(stage.below[i])));
  for (int g = 0; g < Block::kGroups; g += 2)
    store_32(
        to + Block::kStepsAt + g / 2 * kPanelRows,
        _mm256_or_si256(load_32(stage.step[g]), _mm256_slli_epi16(load_32(stage.step[g + 1]), 4)));
  std::memcpy(to + Block::kHalvesAt, stage.half, sizeof(stage.half));
  constexpr size_t kEnd = Block::kHalvesAt + sizeof(stage.half);
  std::memset(to + kEnd, 0, Block::kBytes - kEnd);
}

// Stores W's rows, at most 32, with zeros in the place of the others.
template <typename Format>
void store_grid_panel(const WeightView& w, std::byte* stored) {
  GridStage<Format> stage;
  if (w.rows < kPanelRows) std::memset(&stage, 0, sizeof(stage));
  const int64_t blocks = w.columns / Format::kValues;
  const auto* bytes = static_cast<const uint8_t*>(w.blocks);
  for (int64_t b = 0; b < blocks; ++b, stored += GridBlock<Format>::kBytes) {
    for (int64_t c = 0; c < w.rows; ++c) stage.take(bytes + (c * blocks + b) * Format::kBytes, c);
    store_grid_block(stage, stored);
  }
}

}  // namespace
}  // namespace potluck::cpu
