// Groups the choices of a routed pass by expert, for products that take all rows of an expert
// together.
#pragma once

#include <cstdint>

namespace potluck::gpu {

inline constexpr int kGroupExpertsMost = 256;

// `count` grouped places of one expert, from `first` on: what a block of a product takes.
struct RowTile {
  int32_t expert, first, count;
};

// The tiles of a pass, as the card counted them.
struct RowTiles {
  const RowTile* tiles;
  const int32_t* count;
};

// A group leaves less than one tile unfilled.
constexpr int64_t row_tiles_most(int64_t slots, int64_t experts, int64_t tile_rows) {
  return slots / tile_rows + (slots < experts ? slots : experts);
}

// Slot t·used + k is the k-th choice of row t. order[p] is the slot at grouped place p, place[s]
// the place of slot s, begin[e] where the places of expert e begin; an expert's slots keep their
// order. tiles are the experts' places in order, up to tile_rows a tile, and tile_count[0] says how
// many. One block does it all.
struct GroupRows {
  const int32_t* expert;  // [slots]
  int32_t* order;         // [slots]
  int32_t* place;         // [slots]
  int32_t* begin;         // [experts + 1]
  RowTile* tiles;
  int32_t* tile_count;
  int32_t slots, experts, tile_rows;
};

}  // namespace potluck::gpu
