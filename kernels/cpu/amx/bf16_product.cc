// Products in bf16 by TDPBF16PS. Rows and panels are AVX-512's: a step of a panel, 16 pairs of 32
// columns, is two tiles as it lies. Integer weights are widened to bf16 as their panel is packed:
// int8 tiles would have to leave the tile unit every 32 values, to be scaled.
//
// No machine with AMX was at hand when this was written: its arithmetic was run against plain loops
// in the tests, and tiles_work() asks the processor before it is chosen; its speed is not measured.
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernels/cpu/amx/bf16_multiply.h"
#include "kernels/cpu/amx/products.h"
#include "kernels/cpu/avx512/products.h"

namespace potluck::cpu::amx {
namespace {

constexpr long kArchRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
constexpr long kTileData = 18;                   // XFEATURE_XTILEDATA

// Tiles 0 to 3: sums [16][16]; 4 and 5: 16 rows of a each; 6 and 7: 16 columns of b each. All are
// 16 rows of 64 bytes. Held by one thread from construction to destruction.
class HardwareTiles final {
 public:
  HardwareTiles() {
    struct alignas(64) {
      uint8_t palette = 1, start = 0, reserved[14] = {};
      uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
      uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
    } config;
    _tile_loadconfig(&config);
  }
  ~HardwareTiles() { _tile_release(); }
  HardwareTiles(const HardwareTiles&) = delete;

  void clear() {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }

  void sum(const std::byte* a, const std::byte* b) {
    _tile_loadd(4, a, kRowBytes);
    _tile_loadd(5, a + 16 * kRowBytes, kRowBytes);
    _tile_loadd(6, b, 128);
    _tile_loadd(7, b + 64, 128);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }

  void store(float* sums) {
    _tile_stored(0, sums, kRows * 4);
    _tile_stored(1, sums + 16, kRows * 4);
    _tile_stored(2, sums + 16 * kRows, kRows * 4);
    _tile_stored(3, sums + 16 * kRows + 16, kRows * 4);
  }
};

template <int kTerms>
void multiply(const PanelProduct& p) {
  const size_t row = avx512::bf16_product(kTerms == 2).row_bytes(p.columns);
  HardwareTiles tiles;
  multiply_bf16(p, kTerms, row / kTerms, tiles);
}

template <int kTerms>
PackedProduct product() {
  PackedProduct p = avx512::bf16_product(kTerms == 2);
  p.name = kTerms == 2 ? "bf16 fine (AMX)" : "bf16 (AMX)";
  p.multiply = multiply<kTerms>;
  return p;
}

// Row r of x is r + 1 everywhere, W's column c is c − 7: each sum is 40 · (r + 1) · (c − 7), which
// bf16 and f32 hold exactly.
bool multiplies_right() {
  constexpr int64_t kColumns = 40, kHeight = 35;
  const PackedProduct p = product<1>();
  float x[kColumns], w[kPanelRows * kColumns], out[kHeight * kPanelRows];
  alignas(64) std::byte rows[kHeight][128], panel[64 * kPanelRows * 2];
  const std::byte* each[kHeight];
  for (int64_t r = 0; r < kHeight; ++r) {
    for (float& value : x) value = static_cast<float>(r + 1);
    p.pack_row(x, kColumns, rows[r]);
    each[r] = rows[r];
  }
  for (int64_t i = 0; i < kPanelRows * kColumns; ++i) w[i] = static_cast<float>(i / kColumns - 7);
  p.pack_panel({DType::f32, w, kPanelRows, kColumns}, panel);
  p.multiply({each, kHeight, panel, kColumns, out, kPanelRows, kPanelRows});
  for (int64_t i = 0; i < kHeight * kPanelRows; ++i)
    if (out[i] != static_cast<float>(40 * (i / kPanelRows + 1) * (i % kPanelRows - 7)))
      return false;
  return true;
}

}  // namespace

bool tiles_work() {
  static const bool work =
      __builtin_cpu_supports("amx-tile") && __builtin_cpu_supports("amx-bf16") &&
      syscall(SYS_arch_prctl, kArchRequestPermission, kTileData) == 0 && multiplies_right();
  return work;
}

const PackedProduct& bf16_product(bool fine) {
  static const PackedProduct one = product<1>(), two = product<2>();
  return fine ? two : one;
}

}  // namespace potluck::cpu::amx
