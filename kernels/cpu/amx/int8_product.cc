// Products of integer blocks by TDPBSSD, for few rows: out = Σ_groups dx · scale · Σ (q − zero) ·
// xq. Rows are AVX-512's, panels too but for centred bytes: a group of 32 values of 16 columns is a
// tile of 8 rows as it lies.
//
// Every group has scales of its own, so its sums leave the tile unit at once and meet them in
// AVX-512 registers: 16 columns of up to 16 rows at a time. A group's tile is multiplied three
// groups and stored two before its sums are read, for a load behind the store that it needs waits.
// That costs 9 cycles for 64 weights and 16 rows, where widening them to bf16 costs 16 and VPDPBUSD
// 12; memory takes 14. Best, Q8_0 in cache: 0.78 TOP/s a core of 1.6 at half a tile (Xeon with AMX,
// 2026-11-26).
#include <immintrin.h>

#include "kernels/cpu/amx/configure_tiles.h"
#include "kernels/cpu/amx/products.h"
#include "kernels/cpu/amx/tiles.h"
#include "kernels/cpu/avx512/products.h"
#include "kernels/cpu/avx512/store_panel.h"
#include "kernels/cpu/avx512/stored_panel.h"
#include "kernels/cpu/avx512/tiles.h"

namespace potluck::cpu::amx {
namespace {

constexpr int kGroup = 32;  // values that share a scale
constexpr int kSide = 16;   // columns of a tile of sums

// What a tile of rows meets on one side of a panel, or of a chunk of it: `groups` groups,
// group_bytes apart. Sums: [4][kHeightMax][kSide].
struct Side {
  const std::byte* values;  // of x, row 0
  const std::byte* scales;  // of x: a float a group
  const std::byte* extras;  // of x, for a minimum
  size_t stride;            // of all three
  const std::byte* panel;   // this side's columns
  const std::byte* panel_scales;
  size_t group_bytes;
  int64_t groups;
  int32_t* sums;
};

// How a panel keeps its scales: f32 and none, f32 and a minimum, f16.
enum class Scales { plain, minimum, half };

// start_N: the sums of a group into tile N. store_N: out of it.
#define POTLUCK_TILE(n)                                                        \
  POTLUCK_INLINE_512 void start_##n(const Side& s, int64_t group) {            \
    group = std::min(group, s.groups - 1);                                     \
    _tile_loadd(4, s.values + group * kGroup, s.stride);                       \
    _tile_loadd(6, s.panel + static_cast<size_t>(group) * s.group_bytes, 128); \
    _tile_zero(n);                                                             \
    _tile_dpbssd(n, 4, 6);                                                     \
  }                                                                            \
  POTLUCK_INLINE_512 void store_##n(const Side& s) {                           \
    _tile_stored(n, s.sums + n * kHeightMax * kSide, kSide * sizeof(int32_t)); \
  }
POTLUCK_TILE(0)
POTLUCK_TILE(1)
POTLUCK_TILE(2)
POTLUCK_TILE(3)
#undef POTLUCK_TILE

// out[r] += dx · scale · sums − (dx · Σ xq) · minimum.
template <Scales kScales, int kRows>
POTLUCK_INLINE_512 void scale(const Side& s, int64_t group, int slot, __m512 (&out)[kRows]) {
  const int32_t* sums = s.sums + slot * kHeightMax * kSide;
  const std::byte* scales = s.panel_scales + static_cast<size_t>(group) * s.group_bytes;
  const std::byte *dx = s.scales + group * 4, *extra = s.extras + group * 4;
  const __m512 w =
      kScales == Scales::half
          ? _mm512_cvtph_ps(_mm256_load_si256(reinterpret_cast<const __m256i*>(scales)))
          : _mm512_load_ps(scales);
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
    const __m512 sum = _mm512_cvtepi32_ps(_mm512_load_si512(sums + r * kSide));
    out[r] = _mm512_fmadd_ps(_mm512_mul_ps(sum, avx512::broadcast(dx)), w, out[r]);
    if constexpr (kScales == Scales::minimum)
      out[r] = _mm512_fnmadd_ps(avx512::broadcast(extra), _mm512_load_ps(scales + kPanelRows * 4),
                                out[r]);
    dx += s.stride;
    extra += s.stride;
  }
}

template <Scales kScales, int kRows>
POTLUCK_INLINE_512 void add_groups(const Side& s, Prefetch& prefetch, __m512 (&out)[kRows]) {
  start_0(s, 0);
  start_1(s, 1);
  start_2(s, 2);
  store_0(s);
  store_1(s);
  for (int64_t g = 0;; g += 4) {
    prefetch.step();
    start_3(s, g + 3);
    store_2(s);
    scale<kScales>(s, g, 0, out);
    if (g + 1 == s.groups) return;
    prefetch.step();
    start_0(s, g + 4);
    store_3(s);
    scale<kScales>(s, g + 1, 1, out);
    if (g + 2 == s.groups) return;
    prefetch.step();
    start_1(s, g + 5);
    store_0(s);
    scale<kScales>(s, g + 2, 2, out);
    if (g + 3 == s.groups) return;
    prefetch.step();
    start_2(s, g + 6);
    store_1(s);
    scale<kScales>(s, g + 3, 3, out);
    if (g + 4 == s.groups) return;
  }
}

// Where the sums of a tile begin: at zero, or for a chunk behind the first at what is in out.
template <int kRows>
POTLUCK_INLINE_512 void read_side(const PanelProduct& p, int64_t first, int side, bool zero,
                                  __m512 (&sums)[kRows]) {
  const __mmask16 columns = zero ? 0 : avx512::first_lanes(p.count - kSide * side);
  for (int64_t r = 0; r < kRows; ++r)
    sums[r] = _mm512_maskz_loadu_ps(columns, p.out + (first + r) * p.out_stride + kSide * side);
}

// Rows [skip, kRows) of a tile that begins at row `first`.
template <int kRows>
POTLUCK_INLINE_512 void write_side(const PanelProduct& p, int64_t first, int64_t skip, int side,
                                   const __m512 (&sums)[kRows]) {
  const __mmask16 columns = avx512::first_lanes(p.count - kSide * side);
  for (int64_t r = skip; r < kRows; ++r) {
    float* out = p.out + (first + r) * p.out_stride + kSide * side;
    const __m512 keep = _mm512_set1_ps(p.keep ? p.keep[first + r] : 0.0f);
    const __m512 before = p.keep ? _mm512_maskz_loadu_ps(columns, out) : keep;
    _mm512_mask_storeu_ps(out, columns, _mm512_fmadd_ps(keep, before, sums[r]));
  }
}

template <Scales kScales, int kRows, typename Chunk>
void multiply_tile(const PanelProduct& p, const Chunk& chunk, int64_t first, int64_t skip,
                   Prefetch& prefetch) {
  constexpr size_t kScaleBytes = kScales == Scales::half ? 2 : 4;
  alignas(64) int32_t sums[4 * kHeightMax * kSide];
  const std::byte* x = p.x[first];
  for (int side = 0; kSide * side < p.count; ++side) {
    const Side s{x + chunk.first * kGroup,
                 x + avx512::scales_at<1>(p.columns) + chunk.first * 4,
                 x + avx512::extras_at<1>(p.columns) + chunk.first * 4,
                 p.x.stride,
                 chunk.panel + kSide * 4 * side,
                 chunk.panel + kGroup * kPanelRows + kSide * kScaleBytes * side,
                 Chunk::kStride,
                 chunk.groups,
                 sums};
    __m512 out[kRows];
    read_side(p, first, side, chunk.first == 0, out);
    add_groups<kScales>(s, prefetch, out);
    write_side(p, first, skip, side, out);
  }
}

class Multiply final {
 public:
  explicit Multiply(const PanelProduct& product)
      : product_(product), prefetch_(product, cut_.tiles * 2 * (product.columns / kGroup)) {
    configure_tiles(cut_.height, kGroup);
  }

  template <Scales kScales, typename Chunk>
  void add(const Chunk& chunk) {
    for (int64_t tile = 0; tile < cut_.tiles; ++tile)
      each_tile<kHeightMax>(cut_.height, [&]<int kRows>(int64_t) {
        multiply_tile<kScales, kRows>(product_, chunk, cut_.first(tile), cut_.fresh(tile),
                                      prefetch_);
      });
  }

 private:
  const PanelProduct& product_;
  const RowCut cut_{product_.rows};
  Prefetch prefetch_;
};

template <typename Format>
constexpr Scales kFull = Format::kMinimum ? Scales::minimum : Scales::plain;
template <typename Format>
constexpr Scales kStored = Format::kBits == 8 ? Scales::half : kFull<Format>;

template <typename Format>
void multiply(const PanelProduct& p) {
  Multiply(p).add<kFull<Format>>(avx512::PanelChunk<Format>{p.panel, 0, p.columns / kGroup});
}

// In pieces, so that the part of x that meets both sides of a piece stays near.
template <typename Format>
void multiply_stored(const PanelProduct& p) {
  constexpr int64_t kPiece = 44;  // groups: 48 KB
  Multiply multiply(p);
  avx512::each_chunk<Format, true>(p.panel, p.columns, kPiece, [&](const auto& chunk) {
    multiply.template add<kStored<Format>>(chunk);
  });
}

template <typename Format>
PackedProduct product(DType type) {
  PackedProduct p = *avx512::int8_product(type, false);
  p.name = "int8 (AMX)";
  p.pack_panel = avx512::pack_panel<Format, true>;
  p.multiply = multiply<Format>;
  p.store_panel = avx512::store_panel<Format, true>;
  p.multiply_stored = multiply_stored<Format>;
  return p;
}

}  // namespace

const PackedProduct* int8_product(DType type) {
  return product_of_format(type, [type]<typename Format>() -> const PackedProduct* {
    if constexpr (Format::kGroup != kGroup) return nullptr;
    static const PackedProduct of_format = product<Format>(type);
    return &of_format;
  });
}

}  // namespace potluck::cpu::amx
