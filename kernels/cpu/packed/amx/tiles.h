// AMX's products share how rows are cut into tiles.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/cpu/packed/panels.h"

namespace potluck::cpu::amx {

constexpr int kHeightMax = 16;  // rows of a tile

// Cuts rows into tiles of one height, because a product costs as much as its tile is high. The last
// ends with the last row: rows that it shares with the tile before are computed twice and written
// once.
struct RowCut {
  int64_t rows;
  int64_t tiles = tile_count(rows, kHeightMax);
  int64_t height = tile_count(rows, tiles);

  int64_t first(int64_t tile) const { return std::min(tile * height, rows - height); }
  int64_t fresh(int64_t tile) const { return tile * height - first(tile); }  // rows to skip
};

}  // namespace potluck::cpu::amx
