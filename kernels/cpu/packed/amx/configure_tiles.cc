// Loads a tile configuration only when it differs from the thread's last.
#include "kernels/cpu/packed/amx/configure_tiles.h"

namespace potluck::cpu::amx {

void configure_tiles(int64_t height, int row_bytes) {
  static thread_local int64_t configured_height = 0;
  static thread_local int configured_bytes = 0;
  if (configured_height == height && configured_bytes == row_bytes) return;
  struct alignas(64) {
    uint8_t palette = 1, start = 0, reserved[14] = {};
    uint16_t row_bytes[16] = {64, 64, 64, 64, 0, 0, 64, 64};
    uint8_t rows[16] = {};
  } config;
  for (int tile = 0; tile < 6; ++tile) config.rows[tile] = height;
  config.rows[6] = config.rows[7] = row_bytes / 4;
  config.row_bytes[4] = config.row_bytes[5] = row_bytes;
  // GCC 12's _tile_loadconfig tells the compiler of its first 8 bytes alone.
  asm volatile("ldtilecfg %0" : : "m"(config));
  configured_height = height;
  configured_bytes = row_bytes;
}

}  // namespace potluck::cpu::amx
