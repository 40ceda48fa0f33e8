// A block of a product with experts takes one tile of grouped rows and one part of the outputs.
#pragma once

#include "kernels/gpu/device/gpu.h"
#include "kernels/gpu/exact/group_rows.h"

namespace potluck::gpu {

// Places [first, end) of an expert by a part of the outputs; from their parts on: the block has
// nothing to do.
struct TileWork {
  int64_t part, expert, first, end;
};

// Blocks take a part of the outputs for all tiles, then the next part: the tiles of an expert meet
// its weights in L2, and the blocks without work come last, while others still run.
GPU_DEVICE TileWork find_work(const RowTiles& tiles) {
  const int count = *tiles.count, part = block_x() / count;
  const RowTile tile = tiles.tiles[block_x() - part * count];
  return {part, tile.expert, tile.first, tile.first + tile.count};
}

}  // namespace potluck::gpu
