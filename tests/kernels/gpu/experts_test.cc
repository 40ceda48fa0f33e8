// The GPU's experts on the emulator, beside the reference.
#include "kernels/cpu/reference/experts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/cpu/reference/expert_groups.h"
#include "tests/emulator/emulator.h"
#include "tests/kernels/gpu/f16_operand.h"
#include "tests/kernels/gpu/stored_weights.h"

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

enum class In { f32, f16, q8 };

std::vector<uint8_t> panels_of(emulator::Vendor vendor, const gpu::Weights& w,
                               gpu::PanelOrder order) {
  const int parts = static_cast<int>(w.columns / gpu::kPanelColumns);
  const int panels = static_cast<int>(kExperts * gpu::panels_of(w.rows));
  std::vector<uint8_t> bytes(int64_t{panels} * parts * gpu::kPanelBytes);
  emulator::run(vendor, {parts, panels}, gpu::Q8Panels{w, bytes.data(), order});
  return bytes;
}

struct Q8Values {
  std::vector<int8_t> q;     // [rows, n]
  std::vector<float> scale;  // [rows, n / 32]

  Q8Values(int64_t rows, int64_t n) : q(rows * n), scale(rows * n / 32) {}
  gpu::Q8Operand operand() const { return {q.data(), scale.data()}; }
};

// Rows of the layer on their way through its experts.
struct Pass {
  emulator::Vendor vendor;
  const Layer& layer;
  const float* x;
  int rows;
  Groups groups;

  int64_t slots() const { return rows * kUsed; }
  int tiles() const { return static_cast<int>(gpu::expert_tiles(slots(), kExperts)); }

  std::vector<float> gate_up(In in) const {
    const int64_t inner = layer.shape.inner;
    const int32_t *order = groups.order.data(), *begin = groups.begin.data();
    std::vector<float> out(slots() * inner);
    if (in == In::f32) {
      emulator::run(
          vendor, {blocks_of(inner, gpu::kGateUpOutputs), tiles()},
          gpu::ExpertGateUp{x, layer.gate_up.gpu(), order, begin, out.data(), kExperts, kUsed});
      return out;
    }
    const F16Operand f16(vendor, x, rows, layer.shape.hidden);
    emulator::run(vendor, {blocks_of(inner, gpu::kGateUpF16Outputs), tiles()},
                  gpu::ExpertGateUpF16{f16.values.data(), f16.scale.data(), layer.gate_up.gpu(),
                                       order, begin, out.data(), kExperts, kUsed});
    return out;
  }
  std::vector<float> down(In in, const std::vector<float>& inner) const {
    const int64_t hidden = layer.shape.hidden;
    const int32_t* begin = groups.begin.data();
    std::vector<float> out(slots() * hidden);
    if (in == In::f32) {
      emulator::run(vendor, {blocks_of(hidden, gpu::kDownOutputs), tiles()},
                    gpu::ExpertDown{inner.data(), layer.down.gpu(), begin, out.data(), kExperts});
      return out;
    }
    const F16Operand f16(vendor, inner.data(), slots(), layer.shape.inner);
    emulator::run(vendor, {blocks_of(hidden, gpu::kDownF16Outputs), tiles()},
                  gpu::ExpertDownF16{f16.values.data(), f16.scale.data(), layer.down.gpu(), begin,
                                     out.data(), kExperts});
    return out;
  }
  std::vector<float> in_q8() const {
    const auto [gate_up_type, down_type, inner, hidden] = layer.shape;
    Q8Values q8(rows, hidden), activated(slots(), inner);
    emulator::run(vendor, {rows}, gpu::Q8Rows{x, q8.q.data(), q8.scale.data(), hidden});
    const int32_t *order = groups.order.data(), *begin = groups.begin.data();
    const int q8_tiles = static_cast<int>(gpu::expert_q8_tiles(slots(), kExperts));
    const auto gate_up = panels_of(vendor, layer.gate_up.gpu(), gpu::PanelOrder::gate_up);
    emulator::run(
        vendor, {blocks_of(inner, gpu::kGateUpQ8Outputs), q8_tiles},
        gpu::ExpertGateUpQ8{q8.operand(), gate_up.data(), order, begin, activated.q.data(),
                            activated.scale.data(), inner, hidden, kExperts, kUsed});
    const auto down = panels_of(vendor, layer.down.gpu(), gpu::PanelOrder::rows);
    std::vector<float> out(slots() * hidden);
    emulator::run(vendor, {blocks_of(hidden, gpu::kDownQ8Outputs), q8_tiles},
                  gpu::ExpertDownQ8{activated.operand(), down.data(), begin, out.data(), inner,
                                    hidden, kExperts});
    return out;
  }
};

// Rows [first, first + rows) of the layer's.
std::vector<float> run(emulator::Vendor vendor, In in, const Layer& layer, int first, int rows) {
  const int64_t hidden = layer.shape.hidden;
  const Pass pass{vendor, layer, layer.x.data() + first * hidden, rows,
                  Groups(layer.expert.data() + first * kUsed, rows * kUsed)};
  const std::vector<float> down = in == In::q8 ? pass.in_q8() : pass.down(in, pass.gate_up(in));
  std::vector<float> out(rows * hidden);
  emulator::run(vendor, {rows},
                gpu::SumSlots{down.data(), pass.groups.place.data(),
                              layer.weight.data() + first * kUsed, out.data(), hidden, kUsed});
  return out;
}

double dot(const float* x, const float* w, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * w[i];
  return sum;
}

// A product is off by `product` of itself, and a sum of n by `term` · n of Σ |products| more; what
// w loses below f16's normal numbers comes on top, and what x loses as levels of its block of 32.
struct Rounding {
  double product, term, small, level;

  double error(const float* x, const float* w, int64_t n) const {
    double sum = 0, most = 0;
    for (int64_t i = 0; i < n; ++i) {
      if (i % 32 == 0) most = most_of(x + i, std::min<int64_t>(32, n - i));
      sum += std::fabs(x[i]) * ((product + n * term) * std::fabs(w[i]) + small) +
             level * most * std::fabs(w[i]);
    }
    return sum;
  }
  static double most_of(const float* x, int64_t n) {
    double most = 0;
    for (int64_t i = 0; i < n; ++i) most = std::max<double>(most, std::fabs(x[i]));
    return most;
  }
};
Rounding rounding(In in) {
  if (in == In::f32) return {0, 0x1p-23, 0, 0};
  if (in == In::f16) return {0x1.01p-10, 0x1.8p-22, 0x1p-25, 0};
  return {0, 0x1p-22, 0, 1.001 / 254};  // 2⁻¹¹ for a scale's own rounding
}

// |inner[i]| and what it may be off by.
struct Activation {
  std::vector<float> size, error;
};

// gelu's slope is at most 1.13, and gelu is off by 2⁻²⁰ of its argument.
Activation activation(const Rounding& rounding, const Layer& layer, int t, int64_t e) {
  const int64_t inner = layer.shape.inner, n = layer.shape.hidden;
  const float* x = layer.x.data() + t * n;
  Activation a;
  for (int64_t i = 0; i < inner; ++i) {
    const float *gate = layer.gate_up.row(e * 2 * inner + i), *up = gate + inner * n;
    const double g = std::fabs(dot(x, gate, n)), u = std::fabs(dot(x, up, n));
    const double g_error = 1.13 * rounding.error(x, gate, n) + 0x1p-20 * g;
    const double u_error = rounding.error(x, up, n);
    a.size.push_back(g * u);
    a.error.push_back(g_error * (u + u_error) + u_error * g + 0x1p-23 * g * u);
  }
  return a;
}

// Returns how far out[t, o] may be off.
double tolerance(const Rounding& rounding, const Layer& layer, int t, int64_t o,
                 const std::vector<Activation>& activations) {
  double sum = 0;
  for (int k = 0; k < kUsed; ++k) {
    const Activation& a = activations[k];
    const float* row = layer.down.row(layer.expert[t * kUsed + k] * layer.shape.hidden + o);
    std::vector<float> most;
    for (size_t i = 0; i < a.size.size(); ++i) most.push_back(a.size[i] + a.error[i]);
    double error = rounding.error(most.data(), row, layer.shape.inner);
    for (int64_t i = 0; i < layer.shape.inner; ++i)
      error +=
          (a.error[i] * (1 + rounding.product) + kUsed * 0x1p-23 * a.size[i]) * std::fabs(row[i]);
    sum += std::fabs(layer.weight[t * kUsed + k]) * error;
  }
  return sum;
}

constexpr Shape kShapes[] = {{DType::f32, DType::f32, 35, 67},
                             {DType::q8_0, DType::q5_0, 32, 96},
                             {DType::q4_k, DType::q8_0, 32, 256}};
constexpr emulator::Vendor kVendors[] = {emulator::Vendor::cuda, emulator::Vendor::hip};

void expect_reference(emulator::Vendor vendor, In in, const Layer& layer) {
  const std::vector<float> expected = layer.expected(), out = run(vendor, in, layer, 0, kRows);
  const int64_t hidden = layer.shape.hidden;
  for (int t = 0; t < kRows; ++t) {
    std::vector<Activation> activations;
    for (int k = 0; k < kUsed; ++k)
      activations.push_back(activation(rounding(in), layer, t, layer.expert[t * kUsed + k]));
    for (int64_t o = 0; o < hidden; ++o)
      ASSERT_NEAR(out[t * hidden + o], expected[t * hidden + o],
                  tolerance(rounding(in), layer, t, o, activations))
          << dtype_name(layer.shape.gate_up) << " row " << t << " output " << o;
  }
}

void expect_rows_alone(In in, const Layer& layer) {
  const int64_t hidden = layer.shape.hidden;
  for (const auto vendor : kVendors) {
    const std::vector<float> all = run(vendor, in, layer, 0, kRows);
    for (const int t : {0, 17, kRows - 1}) {
      const std::vector<float> alone = run(vendor, in, layer, t, 1);
      for (int64_t o = 0; o < hidden; ++o) ASSERT_EQ(alone[o], all[t * hidden + o]) << "row " << t;
    }
  }
}

TEST(GpuExperts, AreTheReference) {
  for (const Shape& shape : kShapes)
    for (const auto vendor : kVendors) expect_reference(vendor, In::f32, Layer(shape));
}

TEST(GpuExperts, OfARowAloneAreThoseOfTheRowAmongOthers) {
  expect_rows_alone(In::f32, Layer(kShapes[1]));
}

TEST(GpuExpertsInF16, AreTheReference) {
  for (const Shape& shape : kShapes)
    for (const auto vendor : kVendors) expect_reference(vendor, In::f16, Layer(shape));
}

TEST(GpuExpertsInF16, OfARowAloneAreThoseOfTheRowAmongOthers) {
  expect_rows_alone(In::f16, Layer(kShapes[1]));
}

// Fewer parts of a panel than warps, more of them, and panels that miss rows.
constexpr Shape kQ8Shapes[] = {{DType::q8_0, DType::q8_0, 64, 96},
                               {DType::q8_0, DType::q8_0, 32, 288}};

TEST(GpuExpertsInInt8, AreTheReference) {
  for (const Shape& shape : kQ8Shapes)
    for (const auto vendor : kVendors) expect_reference(vendor, In::q8, Layer(shape));
}

TEST(GpuExpertsInInt8, OfARowAloneAreThoseOfTheRowAmongOthers) {
  expect_rows_alone(In::q8, Layer(kQ8Shapes[0]));
}

TEST(GpuExpertsInInt8, HaveTheSameBitsWithAndWithoutMatrixUnits) {
  const Layer layer(kQ8Shapes[1]);
  ASSERT_EQ(run(emulator::Vendor::cuda, In::q8, layer, 0, kRows),
            run(emulator::Vendor::hip, In::q8, layer, 0, kRows));
}

TEST(GpuQ8Rows, AreWithinHalfALevelAndKeepZeros) {
  constexpr int64_t kN = 128;
  std::vector<float> x = random_values(kN, 21);
  for (int64_t i = 0; i < 32; ++i) {
    x[32 + i] = 0;
    x[64 + i] *= 1e-32f;
    x[96 + i] *= 1e30f;
  }
  for (const auto vendor : kVendors) {
    Q8Values q8(1, kN);
    emulator::run(vendor, {1}, gpu::Q8Rows{x.data(), q8.q.data(), q8.scale.data(), kN});
    for (int64_t i = 0; i < kN; ++i)
      ASSERT_NEAR(q8.q[i] * q8.scale[i / 32], x[i],
                  Rounding::most_of(x.data() + i / 32 * 32, 32) * 1.001 / 254 + 1e-30)
          << "value " << i;
  }
}

}  // namespace
}  // namespace potluck
