// The grids (topology/base/low_bit_grids.h) as products take them: unsigned bytes, the zero point
// added, and the points' halves apart.
#pragma once

#include <cstdint>
#include <type_traits>

#include "topology/base/low_bit_grids.h"

namespace potluck::cpu {

// Points of 8 or 4 bytes, the first value lowest.
template <int kPoints, int kPoint>
struct ByteGrid {
  using Bytes = std::conditional_t<kPoint == 8, uint64_t, uint32_t>;
  Bytes points[kPoints];
};

// byte(level) is the byte of each level of a grid.
template <int kPoint, int kPoints, typename Byte>
constexpr ByteGrid<kPoints, kPoint> byte_grid(const Grid<kPoints>& grid, Byte byte) {
  using Bytes = typename ByteGrid<kPoints, kPoint>::Bytes;
  constexpr int kBits = kPoint == 8 ? 2 : 3;
  ByteGrid<kPoints, kPoint> bytes{};
  for (int i = 0; i < kPoints; ++i)
    for (int j = 0; j < kPoint; ++j)
      bytes.points[i] |=
          static_cast<Bytes>(byte(grid.points[i] >> (kBits * j) & ((1 << kBits) - 1))) << (8 * j);
  return bytes;
}

// The bytes of levels, their zero points, and the unit of their scales.
struct Iq2Levels {
  static constexpr int kZero = 64;
  static constexpr float kUnit = 0.125f;
  static constexpr int byte(int level) { return kZero + kIq2Magnitudes[level]; }
};
struct Iq3XxsLevels {
  static constexpr int kZero = 64;
  static constexpr float kUnit = 0.25f;
  static constexpr int byte(int level) { return kZero + kIq3XxsMagnitudes[level]; }
};
struct Iq3SLevels {
  static constexpr int kZero = 16;
  static constexpr float kUnit = 1.0f;
  static constexpr int byte(int level) { return kZero + 2 * level + 1; }
};
// Eighths; the shift of an eighth is still to come.
struct Iq1Levels {
  static constexpr int kZero = 16;
  static constexpr float kUnit = 0.125f;
  static constexpr int byte(int level) { return kZero + 8 * (level - 1); }
};

inline constexpr auto kIq2XxsBytes = byte_grid<8>(kIq2XxsGrid, Iq2Levels::byte);
inline constexpr auto kIq2XsBytes = byte_grid<8>(kIq2XsGrid, Iq2Levels::byte);
inline constexpr auto kIq2SBytes = byte_grid<8>(kIq2SGrid, Iq2Levels::byte);
inline constexpr auto kIq3XxsBytes = byte_grid<4>(kIq3XxsGrid, Iq3XxsLevels::byte);
inline constexpr auto kIq3SBytes = byte_grid<4>(kIq3SGrid, Iq3SLevels::byte);
inline constexpr auto kIq1Bytes = byte_grid<8>(kIq1Grid, Iq1Levels::byte);

// The levels of the first and of the last half of each point's values.
template <int kPoints>
struct GridHalves {
  alignas(64) uint8_t first[kPoints];
  alignas(64) uint8_t last[kPoints];
};

template <int kPoint, int kPoints>
constexpr GridHalves<kPoints> halves_of(const Grid<kPoints>& grid) {
  constexpr int kBits = kPoint == 8 ? 8 : 6;
  GridHalves<kPoints> halves{};
  for (int i = 0; i < kPoints; ++i) {
    halves.first[i] = grid.points[i] & ((1 << kBits) - 1);
    halves.last[i] = grid.points[i] >> kBits;
  }
  return halves;
}

inline constexpr auto kIq2XxsHalves = halves_of<8>(kIq2XxsGrid);
inline constexpr auto kIq2XsHalves = halves_of<8>(kIq2XsGrid);
inline constexpr auto kIq2SHalves = halves_of<8>(kIq2SGrid);
inline constexpr auto kIq3XxsHalves = halves_of<4>(kIq3XxsGrid);
inline constexpr auto kIq3SHalves = halves_of<4>(kIq3SGrid);
inline constexpr auto kIq1Halves = halves_of<8>(kIq1Grid);

// even_signs of every seven bits.
struct EvenSigns {
  uint8_t of[128];
};
constexpr EvenSigns all_even_signs() {
  EvenSigns signs{};
  for (uint32_t i = 0; i < 128; ++i) signs.of[i] = even_signs(i);
  return signs;
}
inline constexpr EvenSigns kEvenSigns = all_even_signs();

}  // namespace potluck::cpu
