// The GPU's experts on the emulator, beside the reference.
#include "kernels/cpu/reference/experts.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/cpu/reference/expert_groups.h"
#include "tests/emulator/emulator.h"
#include "tests/emulator/stored_weights.h"

namespace potluck {
namespace {

struct Shape {
  DType gate_up, down;
  int64_t inner, hidden;
};

constexpr int kExperts = 6, kUsed = 3, kRows = 37;

// Expert 0 serves every row, and so fills more than one tile; the last serves none.
struct Layer {
  Shape shape;
  TestWeights gate_up{shape.gate_up, kExperts, 2 * shape.inner, shape.hidden, 11};
  TestWeights down{shape.down, kExperts, shape.hidden, shape.inner, 12};
  std::vector<float> x = random_values(kRows * shape.hidden, 13);
  std::vector<float> weight = random_values(kRows * kUsed, 14);
  std::vector<int32_t> expert;

  explicit Layer(const Shape& s) : shape(s) {
    for (int t = 0; t < kRows; ++t)
      for (int k = 0; k < kUsed; ++k) expert.push_back(k == 1 ? 0 : 1 + (t + k) % (kExperts - 2));
  }
  std::vector<float> expected() const {
    cpu::ThreadPool pool(1);
    const cpu::ExpertsView view{gate_up.view(), down.view(), kExperts,
                                kUsed,          shape.inner, shape.hidden};
    std::vector<std::byte> scratch(cpu::experts_scratch(view, kRows, 1));
    std::vector<float> out(kRows * shape.hidden);
    cpu::experts({x.data(), kRows, expert.data(), weight.data()}, view, out.data(), scratch.data(),
                 pool);
    return out;
  }
};

struct Groups {
  std::vector<int32_t> order, place, begin;

  Groups(const int32_t* expert, int64_t slots) : order(slots), place(slots), begin(kExperts + 1) {
    cpu::group_by_expert(expert, kExperts, {slots, order.data(), place.data(), begin.data()});
  }
};

int blocks_of(int64_t n, int size) {
  return static_cast<int>((n + size - 1) / size);
}

// Rows [first, first + rows) of the layer's.
std::vector<float> run(emulator::Vendor vendor, const Layer& layer, int first, int rows) {
  const int64_t hidden = layer.shape.hidden, inner = layer.shape.inner, slots = rows * kUsed;
  const Groups groups(layer.expert.data() + first * kUsed, slots);
  std::vector<float> activated(slots * inner), down(slots * hidden), out(rows * hidden);
  const int tiles = static_cast<int>(gpu::expert_tiles(slots, kExperts));
  emulator::run(
      vendor, {blocks_of(inner, gpu::kGateUpOutputs), tiles},
      gpu::ExpertGateUp{layer.x.data() + first * hidden, layer.gate_up.gpu(), groups.order.data(),
                        groups.begin.data(), activated.data(), kExperts, kUsed});
  emulator::run(vendor, {blocks_of(hidden, gpu::kDownOutputs), tiles},
                gpu::ExpertDown{activated.data(), layer.down.gpu(), groups.begin.data(),
                                down.data(), kExperts});
  emulator::run(vendor, {rows},
                gpu::SumSlots{down.data(), groups.place.data(), layer.weight.data() + first * kUsed,
                              out.data(), hidden, kUsed});
  return out;
}

double dot(const float* x, const float* w, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * w[i];
  return sum;
}

// |inner[i]| and what two f32 computations of it may differ by.
struct Activation {
  std::vector<float> size, error;
};

// gelu's slope is at most 1.13, and gelu is off by 2⁻²⁰ of its argument.
Activation activation(const Layer& layer, int t, int64_t e) {
  const int64_t inner = layer.shape.inner, n = layer.shape.hidden;
  const float* x = layer.x.data() + t * n;
  Activation a;
  for (int64_t i = 0; i < inner; ++i) {
    const float *gate = layer.gate_up.row(e * 2 * inner + i), *up = gate + inner * n;
    const double g = std::fabs(dot(x, gate, n)), u = std::fabs(dot(x, up, n));
    const double g_error = 1.13 * sum_tolerance(x, gate, n) + 0x1p-20 * g;
    a.size.push_back(g * u);
    a.error.push_back(g_error * u + sum_tolerance(x, up, n) * g + 0x1p-23 * g * u);
  }
  return a;
}

// What two f32 computations of out[t, o] may differ by.
double tolerance(const Layer& layer, int t, int64_t o, const std::vector<Activation>& activations) {
  double sum = 0;
  for (int k = 0; k < kUsed; ++k) {
    const Activation& a = activations[k];
    const float* row = layer.down.row(layer.expert[t * kUsed + k] * layer.shape.hidden + o);
    double error = 0, size = 0;
    for (int64_t i = 0; i < layer.shape.inner; ++i) {
      error += a.error[i] * std::fabs(row[i]);
      size += static_cast<double>(a.size[i]) * std::fabs(row[i]);
    }
    sum += std::fabs(layer.weight[t * kUsed + k]) *
           (error + (layer.shape.inner + kUsed) * 0x1p-23 * size);
  }
  return sum;
}

constexpr Shape kShapes[] = {{DType::f32, DType::f32, 35, 67},
                             {DType::q8_0, DType::q5_0, 32, 96},
                             {DType::q4_k, DType::q8_0, 32, 256}};
constexpr emulator::Vendor kVendors[] = {emulator::Vendor::cuda, emulator::Vendor::hip};

TEST(GpuExperts, AreTheReference) {
  for (const Shape& shape : kShapes) {
    const Layer layer(shape);
    const std::vector<float> expected = layer.expected();
    for (const auto vendor : kVendors) {
      const std::vector<float> out = run(vendor, layer, 0, kRows);
      for (int t = 0; t < kRows; ++t) {
        std::vector<Activation> activations;
        for (int k = 0; k < kUsed; ++k)
          activations.push_back(activation(layer, t, layer.expert[t * kUsed + k]));
        for (int64_t o = 0; o < shape.hidden; ++o)
          ASSERT_NEAR(out[t * shape.hidden + o], expected[t * shape.hidden + o],
                      tolerance(layer, t, o, activations))
              << dtype_name(shape.gate_up) << " row " << t << " output " << o;
      }
    }
  }
}

TEST(GpuExperts, ARowAloneIsTheRowAmongOthers) {
  const Layer layer(kShapes[1]);
  const int64_t hidden = layer.shape.hidden;
  for (const auto vendor : kVendors) {
    const std::vector<float> all = run(vendor, layer, 0, kRows);
    for (const int t : {0, 17, kRows - 1}) {
      const std::vector<float> alone = run(vendor, layer, t, 1);
      for (int64_t o = 0; o < hidden; ++o) ASSERT_EQ(alone[o], all[t * hidden + o]) << "row " << t;
    }
  }
}

}  // namespace
}  // namespace potluck
