// The tiles of rows that are grouped by expert (kernels/gpu/exact/experts.h).
#pragma once

#include "kernels/gpu/device/gpu.h"

namespace potluck::gpu {

// Places [first, end) of an expert; none: the grouping has fewer tiles.
struct GroupedTile {
  int64_t expert, first, end;
};

// Tile `index` where each expert's places are cut by kRows.
template <int kRows>
GPU_DEVICE GroupedTile find_tile(const int32_t* begin, int experts, int index) {
  for (int e = 0; e < experts; ++e) {
    const int rows = begin[e + 1] - begin[e], tiles = (rows + kRows - 1) / kRows;
    if (index < tiles) {
      const int64_t first = begin[e] + index * kRows, end = begin[e + 1];
      return {e, first, first + kRows < end ? first + kRows : end};
    }
    index -= tiles;
  }
  return {};
}

}  // namespace potluck::gpu
