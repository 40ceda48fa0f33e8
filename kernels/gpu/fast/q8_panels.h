// Stored q8_0 in the order in which lanes read it: panels of 64 rows, and of each panel a part for
// every 32 columns, with as many bytes as the blocks have.
//
// A part has 64 · 32 int8, then 64 f16 scales. Of rows 16m + g and 16m + g + 8 it has four words at
// 512m + 64g + 16t for t = 0 … 3: columns 8t … 8t + 3 of the two, then 8t + 4 … 8t + 7 of the two.
// The scales of the rows with the same g are together: row 16m + 8h + g is number 8g + 2m + h.
#pragma once

#include <cstdint>

#include "kernels/gpu/device/stored.h"

namespace potluck::gpu {

inline constexpr int kPanelRows = 64, kPanelColumns = 32, kPanelBytes = 64 * 34;

constexpr int64_t panels_of(int64_t rows) {
  return (rows + kPanelRows - 1) / kPanelRows;
}

// Rows of an order for gate and up: of 64, row 16m + 8h + g is row 8m + g of 32 gate rows (h = 0)
// or up rows (h = 1), so that a lane has both.
enum class PanelOrder : int32_t { rows, gate_up };

// w: [count · rows, columns] in q8_0 → panels [count, panels_of(rows), columns / 32, kPanelBytes],
// with zeros for rows that are missing. The grid is columns / 32 × count · panels_of(rows).
struct Q8Panels {
  Weights w;
  uint8_t* panels;
  PanelOrder order;
};

}  // namespace potluck::gpu
