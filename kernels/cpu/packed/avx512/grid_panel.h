// Stored panels of grids on AVX-512 (grid_block.h has their layout), opened a block of 256 columns
// at a time, in L1. The two halves of points are tables of bytes: 64 indices, two points of 32
// rows, are looked up at once by byte permutations, 128 entries each, chosen among by the higher
// bits of the indices. Then levels become a byte each by shifts and another permutation.
//
// All of it has internal linkage: each source compiles it for its own instruction set, and the
// linker must not choose one for all.
#pragma once

#include "kernels/cpu/packed/avx512/stored_panel.h"
#include "kernels/cpu/packed/grid_block.h"

namespace potluck::cpu::avx512 {
namespace {

inline uint64_t read_mask_64(const std::byte* p) {
  uint64_t mask;
  std::memcpy(&mask, p, sizeof(mask));
  return mask;
}

// Looks up 64 indices in a table; bits[i] has bit 7 + i of each, the bytes the lower ones.
template <int kEntries>
POTLUCK_INLINE_512 __m512i look_up(const uint8_t (&table)[kEntries], __m512i index,
                                   const __mmask64* bits) {
  constexpr int kParts = kEntries / 128;
  __m512i found[kParts];
#pragma GCC unroll 16
  for (int i = 0; i < kParts; ++i)
    found[i] = _mm512_permutex2var_epi8(_mm512_load_si512(table + 128 * i), index,
                                        _mm512_load_si512(table + 128 * i + 64));
#pragma GCC unroll 4
  for (int n = kParts / 2; n > 0; n /= 2, ++bits)
#pragma GCC unroll 8
    for (int i = 0; i < n; ++i)
      found[i] = _mm512_mask_blend_epi8(*bits, found[2 * i], found[2 * i + 1]);
  return found[0];
}

// The levels of two points of 32 rows: their first halves, their last halves, a byte each.
struct Levels {
  __m512i first, last;
};

template <typename Format>
POTLUCK_INLINE_512 Levels levels_of(const std::byte* block, int point) {
  using Block = GridBlock<Format>;
  const __m512i index = _mm512_loadu_si512(block + point * kPanelRows);
  __mmask64 bits[1 + Format::kHighBits] = {_mm512_movepi8_mask(index)};
  for (int i = 0; i < Format::kHighBits; ++i)
    bits[1 + i] = read_mask_64(block + Block::high_at(i, point));
  return {look_up(Format::halves().first, index, bits),
          look_up(Format::halves().last, index, bits)};
}

// The constants that make bytes of levels.
template <typename Format>
struct LevelBytes {
  static constexpr bool kWhole = Format::kPoint == 8;  // a half is four values, else two
  __m512i spread[4];  // the halves of 16 rows, in the lowest bytes of their dwords
  __m512i places;     // of the levels in them, in bits
  __m512i bytes;      // of each level

  LevelBytes() {
    for (int part = 0; part < 4; ++part) {
      const __m512i row = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
      const __m512i first = _mm512_add_epi32(row, _mm512_set1_epi32(16 * part));
      const __m512i last = _mm512_slli_epi32(_mm512_add_epi32(first, _mm512_set1_epi32(64)), 8);
      spread[part] = kWhole ? first : _mm512_or_si512(first, last);
    }
    places = _mm512_set1_epi64(kWhole ? 0x2624222006040200 : 0x2b2823200b080300);
    alignas(64) uint8_t each[64];
    constexpr int kLevels = kWhole ? 4 : 8;
    for (int i = 0; i < 64; ++i) each[i] = level_byte(i % kLevels);
    bytes = _mm512_load_si512(each);
  }

  // Part `part` of 16 rows of the halves, four columns of each row. Of whole halves `last` is not
  // looked at.
  inline __attribute__((always_inline)) __m512i quad(int part, __m512i first, __m512i last) const {
    const __m512i levels = kWhole ? _mm512_permutexvar_epi8(spread[part], first)
                                  : _mm512_permutex2var_epi8(first, spread[part], last);
    return _mm512_permutexvar_epi8(_mm512_multishift_epi64_epi8(places, levels), bytes);
  }

 private:
  // Shifted points are an eighth over; what is under loses two.
  static constexpr uint8_t level_byte(int level) {
    return Format::Levels::byte(level) + (Format::kSigned ? 0 : 1);
  }
};

// Puts quad `quad` of the block, of 16 rows, with its signs or shifts.
template <typename Format>
POTLUCK_INLINE_512 void put_points(__m512i q, const std::byte* block, int quad, int side,
                                   std::byte* panel) {
  using Block = GridBlock<Format>;
  if constexpr (Format::kSigned) {
    const __mmask64 minus =
        read_mask_64(block + Block::kSignsAt + quad * Block::kFourBytes + 8 * side);
    q = _mm512_mask_sub_epi8(q, minus, _mm512_set1_epi8(2 * Format::kZero % 256), q);
  } else {
    uint16_t below;
    const int shift = quad * 4 / Format::kShiftValues;
    std::memcpy(&below, block + Block::kShiftsAt + shift * Block::kMaskBytes + 2 * side, 2);
    q = _mm512_mask_sub_epi32(q, below, q, _mm512_set1_epi32(0x02020202));
  }
  _mm512_store_si512(quad_at<Format>(panel, quad / kQuads, quad % kQuads) + 64 * side, q);
}

template <typename Format>
POTLUCK_INLINE_512 void open_points(const std::byte* block, std::byte* panel) {
  const LevelBytes<Format> bytes;
  for (int point = 0; point < GridBlock<Format>::kPoints; point += 2) {
    const Levels levels = levels_of<Format>(block, point);
#pragma GCC unroll 4
    for (int part = 0; part < 4; ++part) {
      const int at = point + part / 2, side = part % 2;
      if constexpr (Format::kPoint == 4) {
        put_points<Format>(bytes.quad(part, levels.first, levels.last), block, at, side, panel);
      } else {
        put_points<Format>(bytes.quad(part, levels.first, levels.first), block, 2 * at, side,
                           panel);
        put_points<Format>(bytes.quad(part, levels.last, levels.last), block, 2 * at + 1, side,
                           panel);
      }
    }
  }
}

template <typename Format>
POTLUCK_INLINE_512 void open_grid_scales(const std::byte* block, std::byte* panel) {
  using Block = GridBlock<Format>;
  for (int side = 0; side < 2; ++side) {
    const __m512 unit = _mm512_set1_ps(Format::Levels::kUnit);
    const __m512 half = _mm512_cvtph_ps(load_32(block + Block::kHalvesAt + 2 * kSide * side));
    const __m512 d = _mm512_mul_ps(half, unit);
    for (int g = 0; g < Block::kGroups; ++g) {
      const __m512i both = _mm512_cvtepu8_epi32(
          load_16(block + Block::kStepsAt + g / 2 * kPanelRows + kSide * side));
      const __m512i step =
          _mm512_and_si512(_mm512_srli_epi32(both, g % 2 * 4), _mm512_set1_epi32(15));
      const __m512i factor = _mm512_add_epi32(_mm512_add_epi32(step, step), _mm512_set1_epi32(1));
      _mm512_store_ps(panel + g * kGroupBytes<Format> + Format::kGroup * kPanelRows + 64 * side,
                      _mm512_mul_ps(d, _mm512_cvtepi32_ps(factor)));
    }
  }
}

template <typename Format, typename Body>
POTLUCK_INLINE_512 void each_grid_chunk(const std::byte* stored, int64_t columns,
                                        const Body& body) {
  using Block = GridBlock<Format>;
  alignas(64) std::byte panel[Block::kGroups * kGroupBytes<Format>];
  for (int64_t b = 0; b < columns / Format::kValues; ++b, stored += Block::kBytes) {
    open_points<Format>(stored, panel);
    open_grid_scales<Format>(stored, panel);
    body(PanelChunk<Panel<Format>>{panel, b * Block::kGroups, Block::kGroups});
  }
}

}  // namespace
}  // namespace potluck::cpu::avx512
