// The GPU's experts on the emulator, beside the reference.
#include "kernels/cpu/reference/experts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "backends/gpu/panel_types.h"
#include "tests/emulator/emulator.h"
#include "tests/kernels/gpu/f16_operand.h"
#include "tests/kernels/gpu/stored_weights.h"
#include "topology/plan/gpu_needs.h"

namespace potluck {
namespace {

struct Shape {
  DType gate_up, down;
  int64_t inner, hidden;
};

constexpr int kExperts = 6, kUsed = 3, kRows = 37;

// Expert 0 serves every row, and so fills more than one tile; the next serves none.
struct Layer {
  Shape shape;
  TestWeights gate_up{shape.gate_up, kExperts, 2 * shape.inner, shape.hidden, 11};
  TestWeights down{shape.down, kExperts, shape.hidden, shape.inner, 12};
  std::vector<float> x = random_values(kRows * shape.hidden, 13);
  std::vector<float> weight = random_values(kRows * kUsed, 14);
  std::vector<int32_t> expert;

  explicit Layer(const Shape& s) : shape(s) {
    for (int t = 0; t < kRows; ++t)
      for (int k = 0; k < kUsed; ++k) expert.push_back(k == 1 ? 0 : 2 + (t + k) % (kExperts - 2));
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
  std::vector<int32_t> order, place;
  std::vector<gpu::RowTile> tiles;
  int32_t tile_count = 0;
  int most;  // tiles that grids have room for

  Groups(emulator::Vendor vendor, const int32_t* expert, int slots, int tile_rows)
      : order(slots),
        place(slots),
        tiles(gpu::row_tiles_most(slots, kExperts, tile_rows)),
        most(static_cast<int>(tiles.size())) {
    std::vector<int32_t> begin(kExperts + 1);
    emulator::run(vendor, {1},
                  gpu::GroupRows{expert, order.data(), place.data(), begin.data(), tiles.data(),
                                 &tile_count, slots, kExperts, tile_rows});
  }
  gpu::RowTiles row_tiles() const { return {tiles.data(), &tile_count}; }
};

int blocks_of(int64_t n, int size) {
  return static_cast<int>((n + size - 1) / size);
}

// How both products are done; in int8: a matrix of a type that has no panels is multiplied in f16.
enum class In { f32, f16, int8 };

bool in_int8(In in, const TestWeights& w) {
  return in == In::int8 && has_panels(w.gpu().type);
}

struct TestPanels {
  std::vector<uint8_t> bytes;

  TestPanels(emulator::Vendor vendor, const gpu::Weights& w) {
    const int64_t panels = gpu::panels_of(w.rows);
    const int64_t of_expert = panels * gpu::panel_bytes(gpu::panel_format(w.type), w.columns);
    bytes.resize(kExperts * of_expert);
    for (int64_t e = 0; e < kExperts; ++e) {
      gpu::Weights one = w;
      one.blocks += e * w.rows * w.row_bytes;
      emulator::run(vendor, {blocks_of(w.columns, gpu::kPanelColumns), static_cast<int>(panels)},
                    gpu::Panels{one, bytes.data() + e * of_expert});
    }
  }
};

struct Q8Values {
  std::vector<int8_t> q;            // [rows, n]
  std::vector<gpu::Q8Scale> scale;  // [rows, n / 32]

  Q8Values(int64_t rows, int64_t n) : q(rows * n), scale(rows * (n / 32)) {}
  Q8Values(emulator::Vendor vendor, const float* x, int rows, int64_t n) : Q8Values(rows, n) {
    emulator::run(vendor, {rows}, gpu::Q8Rows{x, q.data(), scale.data(), n});
  }
  gpu::Q8Operand operand() const { return {q.data(), scale.data()}; }
};

// Rows of the layer on their way through its experts.
struct Pass {
  emulator::Vendor vendor;
  In in;
  const Layer& layer;
  const float* x;
  int rows;
  Groups groups;

  int slots() const { return rows * kUsed; }

  // [slots, inner] in f32, or in int8 where down takes that.
  struct Inner {
    std::vector<float> values;
    Q8Values q8;
  };
  Inner gate_up() const {
    const auto [gate_up_type, down_type, inner, hidden] = layer.shape;
    Inner out{std::vector<float>(slots() * inner), Q8Values(slots(), inner)};
    if (in == In::f32)
      emulator::run(vendor, {groups.most * blocks_of(inner, gpu::kGateUpOutputs)},
                    gpu::ExpertGateUp{x, layer.gate_up.gpu(), groups.row_tiles(),
                                      groups.order.data(), out.values.data(), kUsed});
    else if (in_int8(in, layer.gate_up))
      gate_up_in_int8(out);
    else
      gate_up_in_f16(out);
    return out;
  }
  void gate_up_in_f16(Inner& out) const {
    const int64_t inner = layer.shape.inner;
    const F16Operand f16(vendor, x, rows, layer.shape.hidden);
    emulator::run(
        vendor, {groups.most * blocks_of(inner, gpu::kGateUpF16Outputs)},
        gpu::ExpertGateUpF16{f16.values.data(), f16.scale.data(), layer.gate_up.gpu(),
                             groups.row_tiles(), groups.order.data(), out.values.data(), kUsed});
    if (in_int8(in, layer.down)) out.q8 = Q8Values(vendor, out.values.data(), slots(), inner);
  }
  void gate_up_in_int8(Inner& out) const {
    const int64_t inner = layer.shape.inner, hidden = layer.shape.hidden;
    const Q8Values q8(vendor, x, rows, hidden);
    const TestPanels panels(vendor, layer.gate_up.gpu());
    int8_t* q = in_int8(in, layer.down) ? out.q8.q.data() : nullptr;
    const int grid = groups.most * static_cast<int>(gpu::panels_of(2 * inner));
    with_panel_type(layer.gate_up.gpu().type, [&]<gpu::Stored kType>() {
      emulator::run(vendor, {grid},
                    gpu::ExpertGateUpInt8<kType>{
                        q8.operand(), panels.bytes.data(), groups.row_tiles(), groups.order.data(),
                        out.values.data(), q, out.q8.scale.data(), inner, hidden, kUsed});
    });
  }

  std::vector<float> down(const Inner& inner) const {
    const int64_t hidden = layer.shape.hidden;
    std::vector<float> out(slots() * hidden);
    if (in == In::f32)
      emulator::run(
          vendor, {groups.most * blocks_of(hidden, gpu::kDownOutputs)},
          gpu::ExpertDown{inner.values.data(), layer.down.gpu(), groups.row_tiles(), out.data()});
    else if (in_int8(in, layer.down))
      down_in_int8(inner.q8, out);
    else
      down_in_f16(inner.values, out);
    return out;
  }
  void down_in_f16(const std::vector<float>& inner, std::vector<float>& out) const {
    const F16Operand f16(vendor, inner.data(), slots(), layer.shape.inner);
    emulator::run(vendor, {groups.most * blocks_of(layer.shape.hidden, gpu::kDownF16Outputs)},
                  gpu::ExpertDownF16{f16.values.data(), f16.scale.data(), layer.down.gpu(),
                                     groups.row_tiles(), out.data()});
  }
  void down_in_int8(const Q8Values& inner, std::vector<float>& out) const {
    const int64_t hidden = layer.shape.hidden;
    const TestPanels panels(vendor, layer.down.gpu());
    const int grid = groups.most * static_cast<int>(gpu::panels_of(hidden));
    with_panel_type(layer.down.gpu().type, [&]<gpu::Stored kType>() {
      emulator::run(
          vendor, {grid},
          gpu::ExpertDownInt8<kType>{inner.operand(), panels.bytes.data(), groups.row_tiles(),
                                     out.data(), layer.shape.inner, hidden});
    });
  }
};

// Rows [first, first + rows) of the layer's.
std::vector<float> run(emulator::Vendor vendor, In in, const Layer& layer, int first, int rows) {
  const int64_t hidden = layer.shape.hidden;
  const int tile_rows = in == In::int8 ? gpu::kExpertInt8Rows : gpu::kExpertRows;
  const Pass pass{
      vendor, in,
      layer,  layer.x.data() + first * hidden,
      rows,   Groups(vendor, layer.expert.data() + first * kUsed, rows * kUsed, tile_rows)};
  const std::vector<float> down = pass.down(pass.gate_up());
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
Rounding rounding(In in, const TestWeights& w) {
  if (in == In::f32) return {0, 0x1p-23, 0, 0};
  if (!in_int8(in, w)) return {0x1.01p-10, 0x1.8p-22, 0x1p-25, 0};
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
                             {DType::q4_k, DType::q8_0, 32, 256},
                             {DType::iq2_s, DType::mxfp4, 32, 256},
                             {DType::mxfp4, DType::iq3_s, 256, 32}};

void expect_reference(emulator::Vendor vendor, In in, const Layer& layer) {
  const std::vector<float> expected = layer.expected(), out = run(vendor, in, layer, 0, kRows);
  const int64_t hidden = layer.shape.hidden;
  for (int t = 0; t < kRows; ++t) {
    std::vector<Activation> activations;
    for (int k = 0; k < kUsed; ++k)
      activations.push_back(
          activation(rounding(in, layer.gate_up), layer, t, layer.expert[t * kUsed + k]));
    for (int64_t o = 0; o < hidden; ++o)
      ASSERT_NEAR(out[t * hidden + o], expected[t * hidden + o],
                  tolerance(rounding(in, layer.down), layer, t, o, activations))
          << dtype_name(layer.shape.gate_up) << " row " << t << " output " << o;
  }
}

void expect_rows_alone(In in, const Layer& layer) {
  const int64_t hidden = layer.shape.hidden;
  for (const auto vendor : emulator::kVendors) {
    const std::vector<float> all = run(vendor, in, layer, 0, kRows);
    for (const int t : {0, 17, kRows - 1}) {
      const std::vector<float> alone = run(vendor, in, layer, t, 1);
      for (int64_t o = 0; o < hidden; ++o) ASSERT_EQ(alone[o], all[t * hidden + o]) << "row " << t;
    }
  }
}

TEST(GpuExperts, AreTheReference) {
  for (const Shape& shape : kShapes)
    for (const auto vendor : emulator::kWarpSizes) expect_reference(vendor, In::f32, Layer(shape));
}

TEST(GpuExperts, OfARowAloneAreThoseOfTheRowAmongOthers) {
  expect_rows_alone(In::f32, Layer(kShapes[1]));
}

TEST(GpuExpertsInF16, AreTheReference) {
  for (const Shape& shape : kShapes)
    for (const auto vendor : emulator::kVendors) expect_reference(vendor, In::f16, Layer(shape));
}

TEST(GpuExpertsInF16, OfARowAloneAreThoseOfTheRowAmongOthers) {
  expect_rows_alone(In::f16, Layer(kShapes[1]));
}

// Every type as gate and up, and as down. There are fewer parts of a panel than warps and more of
// them, panels that miss rows, quarters that begin and end within 256 columns, and matrices whose
// type has no panels before and after one that has.
constexpr Shape kInt8Shapes[] = {
    {DType::q8_0, DType::q8_0, 64, 96},      {DType::q8_0, DType::q8_0, 32, 288},
    {DType::q4_k, DType::q5_0, 32, 768},     {DType::q5_k, DType::q5_1, 32, 512},
    {DType::q6_k, DType::q8_0, 32, 768},     {DType::q4_0, DType::iq4_nl, 64, 96},
    {DType::iq4_nl, DType::q4_0, 32, 96},    {DType::q5_0, DType::q6_k, 256, 32},
    {DType::q5_1, DType::q5_k, 256, 32},     {DType::q8_0, DType::q4_k, 768, 32},
    {DType::q5_1, DType::f32, 35, 64},       {DType::f16, DType::q5_0, 32, 67},
    {DType::iq2_xxs, DType::iq4_nl, 32, 256}};

TEST(GpuExpertsInInt8, AreTheReferenceForEveryType) {
  for (const Shape& shape : kInt8Shapes)
    for (const auto vendor : emulator::kVendors) expect_reference(vendor, In::int8, Layer(shape));
}

TEST(GpuExpertsInInt8, OfARowAloneAreThoseOfTheRowAmongOthers) {
  for (const int shape : {0, 3, 4}) expect_rows_alone(In::int8, Layer(kInt8Shapes[shape]));
}

TEST(GpuExpertsInInt8, HaveTheSameBitsOnAllMatrixUnitsAndWithout) {
  for (const Shape& shape : kInt8Shapes) {
    if (!has_panels(stored_type(shape.gate_up)) || !has_panels(stored_type(shape.down))) continue;
    const Layer layer(shape);
    const std::vector<float> expected = run(emulator::Vendor::cuda, In::int8, layer, 0, kRows);
    for (const auto other : emulator::kVendors)
      ASSERT_EQ(run(other, In::int8, layer, 0, kRows), expected)
          << dtype_name(shape.gate_up) << ' ' << dtype_name(shape.down);
  }
}

TEST(GpuPanels, TakeTheBytesOfTheBlocksAndForScalesOfSixBitsAByte) {
  for (const DType type : kStoredTypes) {
    if (!has_panels(stored_type(type))) continue;
    const bool has_six_bits = type == DType::q4_k || type == DType::q5_k;
    EXPECT_EQ(gpu::panel_bytes(gpu::panel_format(stored_type(type)), 512),
              64 * (row_bytes(type, 512) + (has_six_bits ? 512 / 64 : 0)))
        << dtype_name(type);
  }
}

TEST(GpuPanels, TakeWhatThePlanSaysAndOtherTypesWhatTheFileDoes) {
  constexpr int64_t kCount = 3, kOutputs = 83, kColumns = 512;
  for (const DType type : kStoredTypes) {
    const gpu::PanelFormat format = gpu::panel_format(stored_type(type));
    const int64_t stored = kCount * kOutputs * static_cast<int64_t>(row_bytes(type, kColumns));
    const int64_t panels = kCount * gpu::panels_of(kOutputs) * gpu::panel_bytes(format, kColumns);
    EXPECT_EQ(gpu_matrix_bytes(Precision::fast, type, kCount, kOutputs, kColumns),
              has_panels(stored_type(type)) ? panels : stored)
        << dtype_name(type);
    EXPECT_EQ(gpu_matrix_bytes(Precision::exact, type, kCount, kOutputs, kColumns), stored)
        << dtype_name(type);
  }
}

// A row of x for each column, with 1 there and zeros elsewhere: products are weights, times what 1
// is rounded to, and rounded at each of a few steps.
TEST(GpuPanels, HoldEveryWeight) {
  constexpr int kColumns = 512;
  constexpr int64_t kOutputs = 83;
  std::vector<float> ones(kColumns * kColumns);
  for (int i = 0; i < kColumns; ++i) ones[i * kColumns + i] = 1;
  for (const auto vendor : emulator::kVendors) {
    const Q8Values x(vendor, ones.data(), kColumns, kColumns);
    const std::vector<int32_t> expert(kColumns);
    const Groups groups(vendor, expert.data(), kColumns, gpu::kExpertInt8Rows);
    for (const DType type : kStoredTypes) {
      if (!has_panels(stored_type(type))) continue;
      const TestWeights w(type, kExperts, kOutputs, kColumns, 31);
      const TestPanels panels(vendor, w.gpu());
      std::vector<float> out(kColumns * kOutputs);
      with_panel_type(stored_type(type), [&]<gpu::Stored kType>() {
        emulator::run(
            vendor, {groups.most * static_cast<int>(gpu::panels_of(kOutputs))},
            gpu::ExpertDownInt8<kType>{x.operand(), panels.bytes.data(), groups.row_tiles(),
                                       out.data(), kColumns, kOutputs});
      });
      for (int i = 0; i < kColumns; ++i)
        for (int64_t o = 0; o < kOutputs; ++o)
          ASSERT_NEAR(out[i * kOutputs + o],
                      w.row(o)[i] * 127 * x.scale[i * (kColumns + 1) / 32].scale, 0x1p-20)
              << dtype_name(type) << " row " << o << " column " << i;
    }
  }
}

TEST(GpuQ8Rows, HaveTheSumOfEachBlock) {
  constexpr int64_t kN = 96;
  const std::vector<float> x = random_values(2 * kN, 22);
  for (const auto vendor : emulator::kVendors) {
    const Q8Values q8(vendor, x.data(), 2, kN);
    for (int64_t block = 0; block < 2 * kN / 32; ++block) {
      double sum = 0;
      for (int64_t i = 0; i < 32; ++i) sum += q8.q[block * 32 + i];
      EXPECT_EQ(q8.scale[block].sum, sum * q8.scale[block].scale) << "block " << block;
    }
  }
}

TEST(GpuQ8Rows, AreWithinHalfALevelAndKeepZeros) {
  constexpr int64_t kN = 128;
  std::vector<float> x = random_values(kN, 21);
  for (int64_t i = 0; i < 32; ++i) {
    x[32 + i] = 0;
    x[64 + i] *= 1e-32f;
    x[96 + i] *= 1e30f;
  }
  for (const auto vendor : emulator::kVendors) {
    const Q8Values q8(vendor, x.data(), 1, kN);
    for (int64_t i = 0; i < kN; ++i)
      ASSERT_NEAR(q8.q[i] * q8.scale[i / 32].scale, x[i],
                  Rounding::most_of(x.data() + i / 32 * 32, 32) * 1.001 / 254 + 1e-30)
          << "value " << i;
  }
}

}  // namespace
}  // namespace potluck
