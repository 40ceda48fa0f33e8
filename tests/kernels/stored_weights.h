// Random stored weights, products with them, and how far a product may be from the exact sum.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string_view>
#include <vector>

#include "kernels/cpu/fast/matmul.h"
#include "kernels/cpu/packed/choose.h"
#include "kernels/cpu/reference/dequantize.h"
#include "kernels/cpu/reference/weight_view.h"

namespace potluck::cpu {

using Floats = std::vector<float>;

inline constexpr DType kTypes[] = {DType::q8_0,    DType::q4_0,  DType::q4_1,   DType::q5_0,
                                   DType::q5_1,    DType::q4_k,  DType::q5_k,   DType::q6_k,
                                   DType::bf16,    DType::f16,   DType::f32,    DType::iq4_nl,
                                   DType::mxfp4,   DType::iq2_s, DType::iq2_xs, DType::iq2_xxs,
                                   DType::iq3_xxs, DType::iq3_s, DType::iq1_s,  DType::iq1_m};

// Writes d as the scale of one block, of every half that its format reads as one, or at mxfp4,
// whose scales are powers of two, the one below |d|.
inline void set_scale(DType type, uint16_t d, std::byte* block) {
  if (type == DType::mxfp4) {
    int exponent = 0;
    std::frexp(f32_from_f16(d), &exponent);
    *block = static_cast<std::byte>(127 + exponent);
  } else if (type == DType::iq1_m) {  // four bits in the highest of each of four words
    for (int i = 0; i < 4; ++i) {
      std::byte& high = block[49 + 2 * i];
      high = (high & std::byte{15}) | static_cast<std::byte>((d >> (4 * i) & 15) << 4);
    }
  } else {
    std::memcpy(block + (type == DType::q6_k ? 208 : 0), &d, 2);
  }
}

// Random blocks whose f16 scales are tame: every byte is random, then each half that the format
// reads as a scale is overwritten.
struct Weights {
  DType type;
  int64_t rows, columns;
  std::vector<std::byte> bytes;
  Floats wide;

  Weights(DType type_, int64_t rows_, int64_t columns_, uint32_t seed)
      : type(type_), rows(rows_), columns(columns_) {
    std::mt19937 random(seed);
    bytes.resize(row_bytes(type, columns) * static_cast<size_t>(rows));
    if (can_quantize(type)) {
      std::normal_distribution<float> normal(0, 0.3f);
      Floats values(static_cast<size_t>(rows * columns));
      for (float& v : values) v = normal(random);
      quantize_row(type, values.data(), bytes.data(), rows * columns);
    } else {
      for (std::byte& b : bytes) b = static_cast<std::byte>(random());
      set_scales(random);
    }
    wide.resize(static_cast<size_t>(rows * columns));
    dequantize_row(type, bytes.data(), wide.data(), rows * columns);
  }

  void set_scales(std::mt19937& random) {
    const auto size = static_cast<size_t>(block_shape(type).bytes);
    const bool two =
        type == DType::q4_1 || type == DType::q5_1 || type == DType::q4_k || type == DType::q5_k;
    const auto draw = [&] {
      return f16_from_f32(static_cast<float>(random() % 1000) * 1e-5f - 0.005f);
    };
    for (size_t block = 0; block < bytes.size(); block += size) {
      set_scale(type, draw(), bytes.data() + block);
      const uint16_t minimum = draw();
      if (two) std::memcpy(bytes.data() + block + 2, &minimum, 2);
    }
  }

  WeightView view() const { return {type, bytes.data(), rows, columns}; }

  // Rows [first, first + count) of them.
  Weights part(int64_t first, int64_t count) const {
    Weights of = *this;
    const auto row = static_cast<int64_t>(row_bytes(type, columns));
    of.rows = count;
    of.bytes = {bytes.begin() + first * row, bytes.begin() + (first + count) * row};
    of.wide = {wide.begin() + first * columns, wide.begin() + (first + count) * columns};
    return of;
  }
};

struct Block {
  explicit Block(size_t size)
      : bytes(static_cast<std::byte*>(std::aligned_alloc(64, (size + 63) / 64 * 64))) {}
  ~Block() { std::free(bytes); }
  Block(const Block&) = delete;
  std::byte* bytes;
};

inline Floats random_floats(int64_t n, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  Floats values(static_cast<size_t>(n));
  for (float& v : values) v = normal(random);
  return values;
}

// x: [rows, w.columns].
inline Floats multiply(Isa isa, const Floats& x, int64_t rows, const WeightView& w, int threads,
                       Use use = Use::many) {
  ThreadPool pool(threads);
  const PackedProduct& product = packed_product(isa, w.type, use);
  const size_t bytes = fast_matmul_scratch(product, w.columns, rows, threads);
  auto* scratch = std::aligned_alloc(64, bytes);
  Floats out(static_cast<size_t>(rows * w.rows), NAN);
  fast_matmul(product, {x.data(), rows, w, out.data()}, scratch, pool);
  std::free(scratch);
  return out;
}

// The tolerance of int16 on AMX: x = step · (q + e), |e| ≤ ½, so |x·w − step_x·step_w·q_x·q_w| ≤
// (step_x·|w| + step_w·|x|)/2 + both halves' product, and |low_x · low_w| ≤ 128² is left out.
inline double chunk_tolerance(int64_t columns, const float* x, const float* w) {
  double bound = 0;
  for (int64_t i = 0; i < columns; i += 256) {
    double most_x = 0, most_w = 0, sum_x = 0, sum_w = 0;
    const int64_t end = std::min(columns, i + 256);
    for (int64_t j = i; j < end; ++j) {
      most_x = std::max<double>(most_x, std::fabs(x[j]));
      most_w = std::max<double>(most_w, std::fabs(w[j]));
      sum_x += std::fabs(x[j]);
      sum_w += std::fabs(w[j]);
    }
    const double step_x = most_x / 32512, step_w = most_w / 32512;
    bound += (step_x * sum_w + step_w * sum_x) * 0.5001 +
             static_cast<double>(end - i) * step_x * step_w * (128 * 128 + 1);
  }
  return bound * 1.01;
}

// How much packing may change Σ x·w, plus the float sums' own rounding. int8: half a step of each
// block of x, step = max/127, times its |w| sum; two terms: 1/256 of that, as are int16 ones with
// integer blocks. int16 of floats, which has no stored panels: max/8191, and as much of w; on AMX:
// chunk_tolerance. bf16: 2⁻⁸ of x (two terms: 2⁻¹⁶) and of w, unless w is bf16 anyway.
inline double tolerance(Isa isa, const Weights& w, const float* x, const float* row, Use use) {
  const bool fine = use == Use::fine || use == Use::finest;
  double packed = 0, both = 0, magnitude = 0;
  for (int64_t i = 0; i < w.columns; i += 32) {
    double most = 0, most_weight = 0, inputs = 0, weights = 0;
    for (int64_t j = i; j < std::min(w.columns, i + 32); ++j) {
      most = std::max<double>(most, std::fabs(x[j]));
      most_weight = std::max<double>(most_weight, std::fabs(row[j]));
      inputs += std::fabs(x[j]);
      weights += std::fabs(row[j]);
      magnitude += std::fabs(static_cast<double>(x[j]) * row[j]);
    }
    packed += most / 127 * 0.5001 * weights;
    both += (most * weights + most_weight * inputs) / 8191 * 0.5001;
  }
  const double sums = static_cast<double>(w.columns) * 0x1p-22 * magnitude;
  const PackedProduct& product = packed_product(isa, w.type, use);
  const std::string_view name = product.name;
  if (name == "int16 (AMX)") return chunk_tolerance(w.columns, x, row) + sums + 1e-20;
  if (name == "int16" && !product.store_panel) return both * 1.01 + sums + 1e-20;
  const bool sixteen_bits = fine || name == "int16";
  if (name.starts_with("int")) return packed * 1.01 * (sixteen_bits ? 0x1p-8 : 1) + sums + 1e-20;
  const double of_x = fine ? 0x1.02p-16 : 0x1.02p-8;
  return magnitude * (of_x + (w.type == DType::bf16 ? 0 : 0x1.02p-8)) + sums + 1e-20;
}

inline double exact_dot(const float* x, const float* w, int64_t columns) {
  double sum = 0;
  for (int64_t i = 0; i < columns; ++i) sum += static_cast<double>(x[i]) * w[i];
  return sum;
}

// out[rows, w.rows] = x · wᵀ as far as `use` may be from the exact sum.
inline void expect_near_exact(Isa isa, const Weights& w, const Floats& x, int64_t rows,
                              const float* out, Use use) {
  for (int64_t t = 0; t < rows; ++t)
    for (int64_t o = 0; o < w.rows; ++o) {
      const float *xt = x.data() + t * w.columns, *wo = w.wide.data() + o * w.columns;
      ASSERT_NEAR(out[t * w.rows + o], exact_dot(xt, wo, w.columns), tolerance(isa, w, xt, wo, use))
          << dtype_name(w.type) << " " << rows << " × " << w.rows << " × " << w.columns << " by "
          << packed_product(isa, w.type, use).name << " at " << t << ", " << o;
    }
}

// x times W by stored panels: [rows, w.rows].
inline Floats multiply_stored(const PackedProduct& product, const Floats& x, int64_t rows,
                              const Weights& w) {
  ThreadPool pool(1);
  const Block stored(store_bytes(product, w.view(), 1)), work(product.panel_bytes(w.columns));
  store_panels(product, w.view(), 1, stored.bytes, pool);
  const size_t row = product.row_bytes(w.columns);
  const Block packed(row * static_cast<size_t>(rows));
  const PackedRows packed_rows{packed.bytes, row};
  for (int64_t t = 0; t < rows; ++t)
    product.pack_row(x.data() + t * w.columns, w.columns, packed_rows[t]);
  Floats out(static_cast<size_t>(rows * w.rows), NAN);
  for (int64_t first = 0; first < w.rows; first += kPanelRows) {
    PanelProduct p{
        packed_rows,
        rows,
        stored.bytes + static_cast<size_t>(first / kPanelRows) * product.stored_bytes(w.columns),
        w.columns,
        out.data() + first,
        w.rows,
        std::min(kPanelRows, w.rows - first)};
    p.work = work.bytes;
    product.multiply_stored(p);
  }
  return out;
}

}  // namespace potluck::cpu
