// Stored matrices of experts in the order in which lanes read them, for products in int8: panels of
// 64 rows, and of each panel a part for every 32 columns.
//
// A panel has the scales of its 256 columns at a time (q4_k, q5_k and q6_k alone), and then its
// parts. A part has levels and, last, scales; panel_tile.h says where each of them lies, which
// depends on the card. All of it takes as many bytes as the blocks, but for q4_k and q5_k: their
// scales and mins of 6 bits become bytes, which adds an eighth of a bit to a weight.
#pragma once

#include <cstdint>

#include "kernels/gpu/device/stored.h"

namespace potluck::gpu {

inline constexpr int kPanelRows = 64, kPanelColumns = 32;

// How the 32 columns of a row become values: scale · level, in f16 or in bytes that f16 scales of
// 256 columns multiply; and what is added to them.
enum class PanelScales : int32_t {
  f16,       // an f16
  f16_min,   // an f16 and an f16 to add
  bytes,     // a byte for each half of the columns
  bytes_min  // a byte, and a byte that f16s of 256 columns multiply as well
};

struct PanelFormat {
  int bits;        // of a level; 0: the type has no panels
  bool is_signed;  // levels of less than 8 bits: they count from the middle
  PanelScales scales;
};

constexpr PanelFormat panel_format(Stored type) {
  switch (type) {
    case Stored::q8_0:
      return {8, true, PanelScales::f16};
    case Stored::q4_0:
      return {4, true, PanelScales::f16};
    case Stored::iq4_nl:
      return {4, false, PanelScales::f16};
    case Stored::q5_0:
      return {5, true, PanelScales::f16};
    case Stored::q5_1:
      return {5, false, PanelScales::f16_min};
    case Stored::q4_k:
      return {4, false, PanelScales::bytes_min};
    case Stored::q5_k:
      return {5, false, PanelScales::bytes_min};
    case Stored::q6_k:
      return {6, true, PanelScales::bytes};
    default:
      return {};
  }
}

constexpr int panel_level_bytes(PanelFormat format) {
  return kPanelRows * kPanelColumns / 8 * format.bits;
}
constexpr int panel_part_bytes(PanelFormat format) {
  return panel_level_bytes(format) + kPanelRows * (format.scales == PanelScales::f16_min ? 4 : 2);
}
// The scales of 256 columns.
constexpr int panel_super_bytes(PanelFormat format) {
  if (format.scales == PanelScales::bytes) return kPanelRows * 2;
  return format.scales == PanelScales::bytes_min ? kPanelRows * 4 : 0;
}
constexpr int64_t panel_bytes(PanelFormat format, int64_t columns) {
  return columns / 256 * panel_super_bytes(format) +
         columns / kPanelColumns * panel_part_bytes(format);
}

// The rows of a matrix are cut in two, the first half being gate where the matrix has gate and up.
// Row 16m + 8h + g of a panel is row 8m + g of its 32 of half h, so that whoever has row g and row
// g + 8 of 16 has gate and up of an output.
constexpr int64_t panels_of(int64_t rows) {
  return ((rows + 1) / 2 + kPanelRows / 2 - 1) / (kPanelRows / 2);
}
// Where row `row` of a panel lies in its matrix; at `rows` and beyond it: nowhere.
constexpr int64_t panel_source(int64_t panel, int row, int64_t rows) {
  const int64_t half = (rows + 1) / 2, i = panel * (kPanelRows / 2) + row / 16 * 8 + row % 8;
  return i < half ? row / 8 % 2 * half + i : rows;
}

// w: [rows, columns] in a type that has panels → its panels_of(rows) panels, with zeros for rows
// that are missing. The grid is columns / 32 × panels_of(rows).
struct Panels {
  Weights w;
  uint8_t* panels;
};

}  // namespace potluck::gpu
