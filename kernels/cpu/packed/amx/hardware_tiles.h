// HardwareTiles: the tiles of the processor, for multiply_bf16.
//
// All of it has internal linkage: each source compiles it for its own instruction set, and the
// linker must not choose one for all.
#pragma once

#include <immintrin.h>

#include "kernels/cpu/packed/amx/bf16_multiply.h"
#include "kernels/cpu/packed/amx/configure_tiles.h"

namespace potluck::cpu::amx {
namespace {

class HardwareTiles final {
 public:
  explicit HardwareTiles(int64_t height) { configure_tiles(height, kStepBytes); }

  void clear() {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }

  void panel(const std::byte* b) {
    _tile_loadd(6, b, 2 * kStepBytes);
    _tile_loadd(7, b + kStepBytes, 2 * kStepBytes);
  }

  template <bool kPair>
  void sum(const std::byte* a0, const std::byte* a1, size_t stride) {
    _tile_loadd(4, a0, stride);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    if constexpr (!kPair) return;
    _tile_loadd(5, a1, stride);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }

  template <bool kPair>
  void store(float* sums) {
    constexpr size_t kStride = kColumns * sizeof(float);
    _tile_stored(0, sums, kStride);
    _tile_stored(1, sums + 16, kStride);
    if constexpr (!kPair) return;
    _tile_stored(2, sums + kHeightMax * kColumns, kStride);
    _tile_stored(3, sums + kHeightMax * kColumns + 16, kStride);
  }
};

}  // namespace
}  // namespace potluck::cpu::amx
