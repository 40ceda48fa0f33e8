// The GPU's add_norm on the emulator, beside the reference.
#include "kernels/cpu/reference/add_norm.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/cpu/reference/dequantize.h"
#include "tests/emulator/emulator.h"
#include "tests/kernels/gpu/stored_weights.h"

namespace potluck {
namespace {

constexpr float kEps = 1e-6f;
constexpr int kRows = 5;  // of which the last belongs to no segment

struct Case {
  bool second = false, norms = false, scale = false;
};

struct Operands {
  int64_t n;
  Case with;
  StepParams params{.segment_count = 2, .rows = kRows - 1};
  std::vector<float> x, a, b, a_norm, b_norm, weight, scale{0.75f, -1.5f};

  Operands(int64_t values, Case c) : n(values), with(c) {
    params.segments[0] = {.mode = Mode::denoise, .row_begin = 0, .rows = 1};
    params.segments[1] = {.mode = Mode::encode, .row_begin = 1, .rows = kRows - 2};
    x = random_values(kRows * n, 1);
    a = random_values(kRows * n, 2);
    b = random_values(kRows * n, 3, 2);
    a_norm = random_values(n, 4);
    b_norm = random_values(n, 5);
    weight = random_values(n, 6);
  }

  gpu::AddNorm gpu(float* out, gpu::Stored stream) const {
    return {.params = &params,
            .x = x.data(),
            .first = {a.data(), with.norms ? a_norm.data() : nullptr},
            .second = {with.second ? b.data() : nullptr, with.norms ? b_norm.data() : nullptr},
            .weight = weight.data(),
            .scale = with.scale ? scale.data() : nullptr,
            .out = out,
            .n = n,
            .eps = kEps,
            .stream = stream};
  }
};

std::vector<float> run(emulator::Vendor vendor, const Operands& o, gpu::Stored stream) {
  std::vector<float> out(kRows * o.n, -777);
  emulator::run(vendor, {kRows}, o.gpu(out.data(), stream));
  return out;
}

std::vector<float> reference(const Operands& o) {
  std::vector<float> out(kRows * o.n, -777);
  cpu::ThreadPool pool(1);
  for (const Segment& s : {o.params.segments[0], o.params.segments[1]}) {
    const int64_t at = s.row_begin * o.n;
    const auto norm = [&](const std::vector<float>& w) {
      return o.with.norms ? w.data() : nullptr;
    };
    cpu::add_norm({o.x.data() + at,
                   {o.a.data() + at, norm(o.a_norm)},
                   {o.with.second ? o.b.data() + at : nullptr, norm(o.b_norm)},
                   o.weight.data(),
                   kEps,
                   o.with.scale ? o.scale[static_cast<size_t>(s.mode)] : 1.0f,
                   DType::f32},
                  s.rows, o.n, out.data() + at, pool);
  }
  return out;
}

double rms(const float* values, int64_t n) {
  double squares = 0;
  for (int64_t i = 0; i < n; ++i) squares += static_cast<double>(values[i]) * values[i];
  return std::sqrt(squares / n + kEps);
}

// Two sums of n squares differ by n · 2⁻²³ of themselves, their roots by half of that, and a few
// products follow: ε = (n / 2 + 8) · 2⁻²³ a norm. A branch is off by ε of its size, their sum h by
// ε of the sum of the sizes, and rms(h) by ε and by as much as h is.
std::vector<double> tolerance(const Operands& o) {
  const double eps = (o.n / 2 + 8) * 0x1p-23;
  std::vector<double> result(kRows * o.n, 0);
  for (int64_t t = 0; t < kRows - 1; ++t) {
    const double a_rms = rms(&o.a[t * o.n], o.n), b_rms = rms(&o.b[t * o.n], o.n);
    std::vector<float> h(o.n), size(o.n);
    for (int64_t i = 0; i < o.n; ++i) {
      const float a = o.a[t * o.n + i] * (o.with.norms ? o.a_norm[i] / a_rms : 1);
      const float b =
          o.with.second ? o.b[t * o.n + i] * (o.with.norms ? o.b_norm[i] / b_rms : 1) : 0;
      h[i] = a + b;
      size[i] = std::fabs(a) + std::fabs(b);
    }
    const double h_rms = rms(h.data(), o.n), off = rms(size.data(), o.n) / h_rms;
    for (int64_t i = 0; i < o.n; ++i)
      result[t * o.n + i] =
          1.5 * eps *
          (std::fabs(o.x[t * o.n + i]) +
           std::fabs(o.weight[i]) / h_rms * (size[i] + std::fabs(h[i]) * (1 + off)));
  }
  return result;
}

TEST(GpuAddNorm, IsTheReferenceAndLeavesRowsOfNoSegment) {
  for (const auto vendor : emulator::kWarpSizes)
    for (const int64_t n : {1, 67, 300})
      for (const Case with : {Case{}, Case{.norms = true}, Case{.second = true, .scale = true},
                              Case{.second = true, .norms = true, .scale = true}}) {
        const Operands o(n, with);
        const std::vector<float> out = run(vendor, o, gpu::Stored::f32), expected = reference(o);
        const std::vector<double> off = tolerance(o);
        for (size_t i = 0; i < out.size(); ++i)
          ASSERT_NEAR(out[i], expected[i], off[i]) << n << " value " << i;
      }
}

TEST(GpuAddNorm, RoundsToTheStream) {
  const Operands o(67, {.second = true, .norms = true, .scale = true});
  for (const auto vendor : emulator::kWarpSizes)
    for (const DType type : {DType::bf16, DType::f16}) {
      std::vector<float> expected = run(vendor, o, gpu::Stored::f32);
      cpu::round_to(type, expected.data(), 67 * (kRows - 1));
      const std::vector<float> out = run(vendor, o, stored_type(type));
      EXPECT_EQ(out, expected) << dtype_name(type);
    }
}

TEST(GpuAddNorm, ARowAloneIsTheRowAmongOthers) {
  const Operands o(67, {.second = true, .norms = true, .scale = true});
  for (const auto vendor : emulator::kWarpSizes) {
    const std::vector<float> all = run(vendor, o, gpu::Stored::bf16);
    for (int t = 1; t < kRows - 1; ++t) {
      Operands alone(67, o.with);
      alone.params = {.segment_count = 1, .rows = 1};
      alone.params.segments[0] = {.mode = Mode::encode, .rows = 1};
      for (auto* rows : {&alone.x, &alone.a, &alone.b})
        rows->erase(rows->begin(), rows->begin() + t * 67);
      std::vector<float> out(67);
      emulator::run(vendor, {1}, alone.gpu(out.data(), gpu::Stored::bf16));
      for (int i = 0; i < 67; ++i) ASSERT_EQ(out[i], all[t * 67 + i]) << t;
    }
  }
}

}  // namespace
}  // namespace potluck
