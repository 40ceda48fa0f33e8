// Products of floats by VPMADDWD: out = Σ_groups dx · dw · Σ xq · wq. They serve weights without an
// integer form (BF16, F16, F32 and the rest), attention, and Σ p·E.
//
// x and W are int16 of 14 bits in groups of 32 along K with a scale each, a row of x, a column of
// the panel: 32 · 8191² fits 32 bits. An error of 2⁻¹⁵ of a group's largest value is less than
// bf16's 2⁻⁹ of each value wherever those count, so this serves fine products as well; and it is a
// quarter faster than FMA in f32 (int16_product.cc).
#include "kernels/cpu/packed/avx2.h"
#include "kernels/cpu/packed/avx2/int16.h"
#include "kernels/cpu/packed/vectors.h"

namespace potluck::cpu::avx2 {
namespace {

constexpr int kReach = 8191;

struct Floats {
  static constexpr int kGroup = kBlock;
  static constexpr bool kMinimum = false;
};
using Kernel = Int16Kernel<Floats, kReach>;

size_t panel_bytes(int64_t columns) {
  return blocks_of(columns) * Kernel::kGroupBytes;
}

// Quantizes one group of the panel out of [32 rows of W][kStaged] floats.
void write_group(const float* stage, std::byte* group) {
  alignas(32) int16_t q[kPanelRows][kBlock];
  float scales[kPanelRows];
  for (int c = 0; c < kPanelRows; ++c) {
    const QuantizedBlock block = quantize_block(stage + c * kStaged, kBlock, kReach);
    for (int half = 0; half < 2; ++half)
      store_32(q[c] + 16 * half, to_int16(block.values[2 * half], block.values[2 * half + 1]));
    scales[c] = block.scale;
  }
  for (int side = 0; side < kSides; ++side)
    for (int half = 0; half < 2; ++half) {
      __m256i pairs[8];
      for (int c = 0; c < kSide; ++c) pairs[c] = load_32(q[side * kSide + c] + 16 * half);
      transpose_8x8(pairs);
      for (int j = 0; j < 8; ++j)
        store_32(group + (8 * half + j) * kPairBytes + 32 * side, pairs[j]);
    }
  std::memcpy(group + Kernel::kValueBytes, scales, sizeof(scales));
}

void pack_panel(const WeightView& w, std::byte* panel) {
  alignas(32) float stage[kPanelRows * kStaged];
  if (w.rows < kPanelRows) std::memset(stage, 0, sizeof(stage));
  for (int64_t first = 0; first < w.columns; first += kStaged) {
    const int64_t n = w.columns - first < kStaged ? w.columns - first : kStaged;
    stage_rows(w, first, n, blocks_of(n) * kBlock, stage,
               [&](const std::byte* blocks, int64_t count, float* to) {
                 dequantize_row(w.type, blocks, to, count);
               });
    for (int64_t i = 0; i < n; i += kBlock, panel += Kernel::kGroupBytes)
      write_group(stage + i, panel);
  }
}

constexpr PackedProduct kProduct = {"int16",     kBlock,     Kernel::row_bytes, Kernel::pack_row,
                                    panel_bytes, pack_panel, multiply<Kernel>,  Numbers::integers};

// 8 columns of values, in f32; past the last row and column they are zero.
struct ValueSide {
  const ValueRows& rows;
  int first;

  __m256 row(int64_t j) const {
    alignas(16) uint16_t part[kSide] = {};
    const int64_t count = rows.count - first;
    if (j >= rows.terms || count <= 0) return _mm256_setzero_ps();
    const uint16_t* from = rows.data + j * rows.stride + first;
    if (count < kSide) {
      std::memcpy(part, from, count * sizeof(*from));
      from = part;
    }
    const __m128i bits = load_16(from);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
  }

  // The greatest |value| of each column in a group's rows.
  __m256 most(int64_t begin) const {
    __m256 most = _mm256_set1_ps(rows.most);
    if (rows.most == 0)
      for (int64_t j = begin; j < begin + kBlock; ++j)
        most = _mm256_max_ps(most, _mm256_andnot_ps(_mm256_set1_ps(-0.0f), row(j)));
    return most;
  }
};

// Quantizes one group of rows.
POTLUCK_INLINE_256 void write_values(const ValueSide& side, int64_t begin, std::byte* values,
                                     std::byte* scales) {
  const __m256 most = side.most(begin);
  const __m256 any = _mm256_cmp_ps(most, _mm256_setzero_ps(), _CMP_GT_OQ);
  const __m256 inverse = _mm256_and_ps(any, _mm256_div_ps(_mm256_set1_ps(kReach), most));
  _mm256_store_ps(reinterpret_cast<float*>(scales),
                  _mm256_mul_ps(most, _mm256_set1_ps(1.0f / kReach)));
  for (int64_t j = 0; j < kBlock; j += 2) {
    const __m256i low = _mm256_cvtps_epi32(_mm256_mul_ps(side.row(begin + j), inverse));
    const __m256i high = _mm256_cvtps_epi32(_mm256_mul_ps(side.row(begin + j + 1), inverse));
    const __m256i pair = _mm256_blend_epi16(low, _mm256_slli_epi32(high, 16), 0xaa);
    store_32(values + (j / 2) * kPairBytes, pair);
  }
}

}  // namespace

void pack_value_panel(const ValueRows& values, std::byte* panel) {
  for (int64_t begin = 0; begin < values.terms; begin += kBlock, panel += Kernel::kGroupBytes)
    for (int side = 0; side < kSides; ++side)
      write_values({values, kSide * side}, begin, panel + 32 * side,
                   panel + Kernel::kValueBytes + 32 * side);
}

const PackedProduct& float_product() {
  return kProduct;
}

}  // namespace potluck::cpu::avx2
