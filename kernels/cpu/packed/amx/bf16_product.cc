// Products in bf16 by TDPBF16PS: x and W are rounded to bf16, sums are f32. Integer weights are
// dequantized as their panel is packed (in stored_product.cc as a stored one is multiplied).
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernels/cpu/packed/amx.h"
#include "kernels/cpu/packed/amx/bf16_layout.h"
#include "kernels/cpu/packed/amx/hardware_tiles.h"

namespace potluck::cpu::amx {
namespace {

constexpr long kArchRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
constexpr long kTileData = 18;                   // XFEATURE_XTILEDATA

template <int kTerms>
void multiply(const PanelProduct& p) {
  const RowCut cut{p.rows};
  HardwareTiles tiles(cut.height);
  multiply_bf16<kTerms>(p, term_bytes(p.columns), cut, PanelSteps(p, cut), tiles);
}

template <int kTerms>
constexpr PackedProduct kProduct = {kTerms == 2 ? "bf16 fine (AMX)" : "bf16 (AMX)",
                                    kValues,
                                    row_bytes<kTerms>,
                                    pack_row<kTerms>,
                                    panel_bytes,
                                    pack_panel,
                                    multiply<kTerms>,
                                    Numbers::bf16};

// Returns row j of values; past the last row there are zeros.
__m512i value_row(const ValueRows& values, __mmask32 columns, int64_t j) {
  return j < values.terms ? _mm512_maskz_loadu_epi16(columns, values.data + j * values.stride)
                          : _mm512_setzero_si512();
}

// Row r of x is r + 1 everywhere, W's column c is c − 7: each sum is 40 · (r + 1) · (c − 7), which
// bf16 and f32 hold exactly.
bool multiplies_right() {
  constexpr int64_t kWidth = 40, kHeight = 35;
  constexpr size_t kRowBytes = 192;
  const PackedProduct& p = kProduct<1>;
  if (p.row_bytes(kWidth) != kRowBytes) return false;
  float x[kWidth], w[kPanelRows * kWidth], out[kHeight * kPanelRows];
  alignas(64) std::byte rows[kHeight][kRowBytes], panel[64 * kPanelRows * 2];
  for (int64_t r = 0; r < kHeight; ++r) {
    for (float& value : x) value = r + 1;
    p.pack_row(x, kWidth, rows[r]);
  }
  for (int64_t i = 0; i < kPanelRows * kWidth; ++i) w[i] = i / kWidth - 7;
  p.pack_panel({DType::f32, w, kPanelRows, kWidth}, panel);
  p.multiply({{rows[0], kRowBytes}, kHeight, panel, kWidth, out, kPanelRows, kPanelRows});
  for (int64_t i = 0; i < kHeight * kPanelRows; ++i)
    if (out[i] != (40 * (i / kPanelRows + 1) * (i % kPanelRows - 7))) return false;
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
  return fine ? kProduct<2> : kProduct<1>;
}

void dequantize_bf16(DType type, const void* blocks, int64_t values, uint16_t* out) {
  avx512::dequantize(type, blocks, values, out);
}

// Pairs of rows are interleaved: dword c = {row j, row j + 1} of column c.
void pack_value_panel(const ValueRows& values, std::byte* panel) {
  const auto columns = values.count >= 32 ? ~0u : (1u << values.count) - 1;
  const __m512i spread = _mm512_set_epi64(7, 3, 6, 2, 5, 1, 4, 0);
  for (int64_t j = 0; j < padded_columns(values.terms); j += 2) {
    const __m512i a = _mm512_permutexvar_epi64(spread, value_row(values, columns, j));
    const __m512i b = _mm512_permutexvar_epi64(spread, value_row(values, columns, j + 1));
    _mm512_store_si512(panel + j * 64, _mm512_unpacklo_epi16(a, b));
    _mm512_store_si512(panel + j * 64 + 64, _mm512_unpackhi_epi16(a, b));
  }
}

}  // namespace potluck::cpu::amx
