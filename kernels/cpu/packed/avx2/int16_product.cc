// Products of integer blocks by VPMADDWD: out = Σ_groups dx · scale · Σ (q − zero) · xq. They serve
// fine products, and blocks of 7 and 8 bits: as bytes those would need VPMADDUBSW, whose 16-bit
// sums overflow on them; its way around that (signs moved to x) costs as many instructions as this,
// which keeps 16 bits of x.
//
// x is int16 in blocks of 32 with a scale each, W is q − zero as int16. A tile is 4 rows × 16
// columns = 8 accumulators of int32 of the 16 registers; the float sums live in L1. 32 · 128 ·
// 32767 fits 32 bits. Best in cache: 135 GOP/s a core, where FMA in f32 reaches 100 (Zen 3,
// 2026-11-27); 207 and 143 (Zen 5, 2026-11-24).
#include "kernels/cpu/packed/avx2.h"
#include "kernels/cpu/packed/avx2/grid_panel.h"
#include "kernels/cpu/packed/avx2/int16.h"
#include "kernels/cpu/packed/vectors.h"

namespace potluck::cpu::avx2 {
namespace {

template <typename Format>
using Kernel = Int16Kernel<Format, 32767>;

// A quad is arranged as columns 0 and 1 of 8 rows, then columns 2 and 3; eight bits with their
// sign.
template <typename Format_>
struct PairLayout {
  using Format = Format_;
  static constexpr size_t kValueBytes = Kernel<Format>::kValueBytes;

  static POTLUCK_INLINE_256 __m256i with_sign(__m256i bytes) {
    if constexpr (kBytesBits<Format> < 8) return bytes;
    return _mm256_xor_si256(bytes, _mm256_set1_epi8(-128));
  }

  static POTLUCK_INLINE_256 __m256i arrange(__m256i quad) { return place(with_sign(quad)); }

  static POTLUCK_INLINE_256 __m256i place(__m256i quad) {
    const __m128i pairs = _mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15);
    return _mm256_permute4x64_epi64(_mm256_shuffle_epi8(quad, _mm256_broadcastsi128_si256(pairs)),
                                    0xd8);
  }

  static POTLUCK_INLINE_256 void put(__m256i arranged, int quad, int side, std::byte* group) {
    std::byte* to = group + (2 * quad) * kPairBytes + 32 * side;
    store_pair(_mm256_castsi256_si128(arranged), to);
    store_pair(_mm256_extracti128_si256(arranged, 1), to + kPairBytes);
  }

 private:
  static POTLUCK_INLINE_256 void store_pair(__m128i bytes, std::byte* to) {
    store_32(to, int16_from(bytes));
  }

  static POTLUCK_INLINE_256 __m256i int16_from(__m128i bytes) {
    if constexpr (kBytesBits<Format> == 8) return _mm256_cvtepi8_epi16(bytes);
    return _mm256_sub_epi16(_mm256_cvtepu8_epi16(bytes), _mm256_set1_epi16(Format::kZero));
  }
};

template <typename Format>
constexpr PackedProduct kProduct = {"int16",
                                    Format::kGroup,
                                    Kernel<Panel<Format>>::row_bytes,
                                    Kernel<Panel<Format>>::pack_row,
                                    panel_bytes<PairLayout<Format>>,
                                    pack_panel<PairLayout<Format>>,
                                    multiply<Kernel<Panel<Format>>>,
                                    Numbers::integers,
                                    stored_bytes<Format>,
                                    store_panel<PairLayout<Format>>,
                                    multiply_stored<Kernel<Panel<Format>>, PairLayout<Format>>};

}  // namespace

const PackedProduct* int16_product(DType type) {
  return product_of_format(type, []<typename Format>() { return &kProduct<Format>; });
}

}  // namespace potluck::cpu::avx2
