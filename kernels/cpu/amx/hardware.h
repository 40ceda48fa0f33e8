// The tiles of the processor. For the sources that are compiled for them.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace potluck::cpu::amx {

namespace {  // compiled for AMX, for these sources alone

// Tiles 0 to 3: sums, [height][16]; 4 and 5: `height` rows of x; 6 and 7: 16 columns of W. A step
// takes `row_bytes` of each row of x, and of W as many values, 4 bytes of each column a tile row.
// Held by one thread from construction to destruction. About 50 ns.
class TileConfiguration final {
 public:
  TileConfiguration(int64_t height, int row_bytes) {
    struct alignas(64) {
      uint8_t palette = 1, start = 0, reserved[14] = {};
      uint16_t row_bytes[16] = {64, 64, 64, 64, 0, 0, 64, 64};
      uint8_t rows[16] = {};
    } config;
    for (int tile = 0; tile < 6; ++tile) config.rows[tile] = static_cast<uint8_t>(height);
    config.rows[6] = config.rows[7] = static_cast<uint8_t>(row_bytes / 4);
    config.row_bytes[4] = config.row_bytes[5] = static_cast<uint16_t>(row_bytes);
    // GCC 12's _tile_loadconfig tells the compiler of its first 8 bytes alone.
    asm volatile("ldtilecfg %0" : : "m"(config));
  }
  ~TileConfiguration() { _tile_release(); }
  TileConfiguration(const TileConfiguration&) = delete;
};

}  // namespace

}  // namespace potluck::cpu::amx
