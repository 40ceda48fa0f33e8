// Random stored blocks for kernels under test, and the values in them as the reference opens them.
#pragma once

#include <cstdint>
#include <vector>

#include "backends/gpu/device_memory.h"  // stored_type()
#include "kernels/cpu/reference/weight_view.h"
#include "kernels/gpu/device/stored.h"
#include "topology/base/dtype.h"

namespace potluck {

inline constexpr DType kStoredTypes[] = {
    DType::f32,    DType::f16,    DType::bf16,    DType::q8_0,  DType::q4_0,  DType::q5_0,
    DType::q5_1,   DType::iq4_nl, DType::q4_k,    DType::q5_k,  DType::q6_k,  DType::iq2_xxs,
    DType::iq2_xs, DType::iq2_s,  DType::iq3_xxs, DType::iq3_s, DType::iq1_s, DType::iq1_m,
    DType::mxfp4,  DType::q4_1,   DType::q2_k,    DType::q3_k,  DType::iq4_xs};

std::vector<float> random_values(size_t count, uint32_t seed, float scale = 1);

// Blocks [count · rows, columns] of random bits whose values are finite and about 1.
class TestWeights {
 public:
  TestWeights(DType type, int64_t count, int64_t rows, int64_t columns, uint32_t seed);

  gpu::Weights gpu() const;
  cpu::WeightView view() const;  // [count · rows, columns]
  const float* row(int64_t index) const { return values_.data() + index * columns_; }

 private:
  DType type_;
  int64_t count_, rows_, columns_;
  std::vector<uint8_t> blocks_;
  std::vector<float> values_;
};

// n · 2⁻²³ · Σ |x·w|: what two f32 sums of n products may differ by, each off by half of it.
double sum_tolerance(const float* x, const float* w, int64_t n);

}  // namespace potluck
