// The GPU's norm and RoPE of Q, K and V on the emulator, beside the reference.
#include "kernels/gpu/exact/qkv.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/cpu/reference/dequantize.h"
#include "kernels/cpu/reference/rms_norm.h"
#include "kernels/cpu/reference/rope.h"
#include "tests/emulator/emulator.h"
#include "tests/kernels/gpu/stored_weights.h"

namespace potluck {
namespace {

constexpr float kEps = 1e-6f, kTheta = 1e4f;
constexpr int kRows = 6, kHeads = 10, kKvHeads = 2, kSlots = 3, kCapacity = 5;

struct Shape {
  int head_dim, pairs;
  bool has_v;
};

// A canvas far along, an encoded segment whose ring turns over, and a row of no segment.
StepParams two_segments() {
  StepParams params{.segment_count = 2, .rows = kRows - 1};
  params.segments[0] = {
      .mode = Mode::denoise, .slot = 1, .position = 250001, .row_begin = 0, .rows = 2};
  params.segments[1] = {.mode = Mode::encode, .slot = 2, .position = 3, .row_begin = 2, .rows = 3};
  return params;
}

// A pass has what the operation reads, and what it has written.
struct Pass {
  Shape shape;
  StepParams params;
  int rows;
  std::vector<float> q, k, v, q_norm, k_norm;
  std::vector<uint8_t> ring_k, ring_v, fresh_k, fresh_v;

  Pass(Shape s, const StepParams& p, int count, DType type) : shape(s), params(p), rows(count) {
    const int64_t width = kKvHeads * s.head_dim;
    q = random_values(rows * kHeads * s.head_dim, 1);
    k = random_values(rows * width, 2);
    v = random_values(rows * width, 3);
    q_norm = random_values(s.head_dim, 4);
    k_norm = random_values(s.head_dim, 5);
    for (auto* ring : {&ring_k, &ring_v})
      ring->resize(kSlots * kCapacity * row_bytes(type, width), 0x55);
    for (auto* fresh : {&fresh_k, &fresh_v}) fresh->resize(rows * row_bytes(type, width), 0x55);
  }

  std::vector<gpu::RopeAngle> angles_by(emulator::Vendor vendor) const {
    std::vector<gpu::RopeAngle> angles(rows * shape.pairs, {NAN, NAN});
    emulator::run(vendor, {rows},
                  gpu::RopeAngles{&params, angles.data(), shape.head_dim, shape.pairs, kTheta});
    return angles;
  }

  void run(emulator::Vendor vendor, DType type) {
    const std::vector<gpu::RopeAngle> angles = angles_by(vendor);
    emulator::run(vendor, {rows},
                  gpu::Qkv{.params = &params,
                           .q = q.data(),
                           .k = k.data(),
                           .v = shape.has_v ? v.data() : nullptr,
                           .q_norm = q_norm.data(),
                           .k_norm = k_norm.data(),
                           .angles = angles.data(),
                           .ring = {ring_k.data(), ring_v.data()},
                           .fresh = {fresh_k.data(), fresh_v.data()},
                           .capacity = kCapacity,
                           .heads = kHeads,
                           .kv_heads = kKvHeads,
                           .head_dim = shape.head_dim,
                           .rope_pairs = shape.pairs,
                           .eps = kEps,
                           .type = stored_type(type)});
  }
};

std::vector<float> norm_heads(const float* x, const float* weight, int heads, int dim) {
  std::vector<float> out(heads * dim);
  for (int h = 0; h < heads; ++h)
    cpu::rms_norm_row(x + h * dim, weight, kEps, dim, out.data() + h * dim);
  return out;
}

void put(const std::vector<float>& values, std::vector<uint8_t>& rows, int64_t row) {
  cpu::quantize_row(DType::f32, values.data(), rows.data() + row * values.size() * 4,
                    values.size());
}

// The same pass by the reference, with K and V in f32.
Pass reference(Pass pass) {
  const Shape shape = pass.shape;
  const int dim = shape.head_dim;
  const int64_t width = kKvHeads * dim;
  std::vector<float> frequency(shape.pairs), sine(shape.pairs), cosine(shape.pairs);
  cpu::rope_frequencies(dim, shape.pairs, kTheta, frequency.data());
  for (int i = 0; i < pass.params.segment_count; ++i)
    for (int t = 0; t < pass.params.segments[i].rows; ++t) {
      const Segment& s = pass.params.segments[i];
      const int64_t row = s.row_begin + t,
                    in_ring = s.slot * kCapacity + (s.position + t) % kCapacity;
      cpu::rope_angles(s.position + t, frequency.data(), shape.pairs, sine.data(), cosine.data());
      const std::vector<float> v =
          norm_heads((shape.has_v ? pass.v : pass.k).data() + row * width, nullptr, kKvHeads, dim);
      std::vector<float> k = norm_heads(&pass.k[row * width], pass.k_norm.data(), kKvHeads, dim);
      cpu::rope_row(k.data(), sine.data(), cosine.data(), kKvHeads, dim, shape.pairs);
      std::vector<float> q =
          norm_heads(&pass.q[row * kHeads * dim], pass.q_norm.data(), kHeads, dim);
      cpu::rope_row(q.data(), sine.data(), cosine.data(), kHeads, dim, shape.pairs);
      std::copy(q.begin(), q.end(), pass.q.begin() + row * kHeads * dim);
      const bool encode = s.mode == Mode::encode;
      put(k, encode ? pass.ring_k : pass.fresh_k, encode ? in_ring : row);
      put(v, encode ? pass.ring_v : pass.fresh_v, encode ? in_ring : row);
    }
  return pass;
}

std::vector<float> floats(const std::vector<uint8_t>& bytes) {
  std::vector<float> values(bytes.size() / 4);
  cpu::dequantize_row(DType::f32, bytes.data(), values.data(), values.size());
  return values;
}

// Two sums of squares differ by dim · 2⁻²³ of themselves, their roots by half of that; four
// products and a sum follow, whose terms are at most the pair's: √dim, as a normed row has no more,
// and weights at most 1.
void expect_near(const std::vector<float>& actual, const std::vector<float>& expected, int dim) {
  ASSERT_EQ(actual.size(), expected.size());
  const double tolerance = (dim / 2 + 6) * 0x1p-23 * 2 * std::sqrt(dim);
  for (size_t i = 0; i < actual.size(); ++i)
    ASSERT_NEAR(actual[i], expected[i], tolerance) << "value " << i << ", head of " << dim;
}

TEST(GpuQkv, IsTheReferenceAndWritesNothingElse) {
  for (const auto vendor : emulator::kWarpSizes)
    for (const Shape shape : {Shape{8, 4, true}, Shape{66, 33, true}, Shape{96, 12, false},
                              Shape{80, 0, true}, Shape{1024, 512, true}}) {
      Pass pass(shape, two_segments(), kRows, DType::f32);
      const Pass expected = reference(pass);
      pass.run(vendor, DType::f32);
      expect_near(pass.q, expected.q, shape.head_dim);
      expect_near(floats(pass.ring_k), floats(expected.ring_k), shape.head_dim);
      expect_near(floats(pass.ring_v), floats(expected.ring_v), shape.head_dim);
      expect_near(floats(pass.fresh_k), floats(expected.fresh_k), shape.head_dim);
      expect_near(floats(pass.fresh_v), floats(expected.fresh_v), shape.head_dim);
    }
}

TEST(GpuQkv, RoundsKAndVToTheCachesType) {
  const Shape shape{8, 2, false};
  for (const auto vendor : emulator::kWarpSizes)
    for (const DType type : {DType::bf16, DType::f16}) {
      Pass wide(shape, two_segments(), kRows, DType::f32),
          narrow(shape, two_segments(), kRows, type);
      wide.run(vendor, DType::f32);
      narrow.run(vendor, type);
      EXPECT_EQ(wide.q, narrow.q);
      const auto expect_rounded = [&](const std::vector<uint8_t>& from,
                                      const std::vector<uint8_t>& to, int first, int rows) {
        const int64_t values = int64_t{rows} * kKvHeads * shape.head_dim,
                      at = first * values / rows;
        std::vector<uint8_t> rounded(values * 2);
        cpu::quantize_row(type, floats(from).data() + at, rounded.data(), values);
        EXPECT_EQ(rounded,
                  std::vector<uint8_t>(to.begin() + at * 2, to.begin() + (at + values) * 2));
      };
      expect_rounded(wide.fresh_k, narrow.fresh_k, 0, 2);
      expect_rounded(wide.fresh_v, narrow.fresh_v, 0, 2);
      expect_rounded(wide.ring_k, narrow.ring_k, 2 * kCapacity + 3, 2);
      expect_rounded(wide.ring_v, narrow.ring_v, 2 * kCapacity + 3, 2);
    }
}

TEST(GpuQkv, WithoutQItStoresTheSameKAndV) {
  const Shape shape{66, 33, true};
  for (const auto vendor : emulator::kWarpSizes) {
    Pass with(shape, two_segments(), kRows, DType::bf16), without = with;
    with.run(vendor, DType::bf16);
    const std::vector<gpu::RopeAngle> angles = without.angles_by(vendor);
    emulator::run(vendor, {kRows},
                  gpu::Qkv{.params = &without.params,
                           .q = nullptr,
                           .k = without.k.data(),
                           .v = without.v.data(),
                           .q_norm = nullptr,
                           .k_norm = without.k_norm.data(),
                           .angles = angles.data(),
                           .ring = {without.ring_k.data(), without.ring_v.data()},
                           .fresh = {without.fresh_k.data(), without.fresh_v.data()},
                           .capacity = kCapacity,
                           .heads = kHeads,
                           .kv_heads = kKvHeads,
                           .head_dim = 66,
                           .rope_pairs = 33,
                           .eps = kEps,
                           .type = gpu::Stored::bf16});
    EXPECT_EQ(with.ring_k, without.ring_k);
    EXPECT_EQ(with.ring_v, without.ring_v);
    EXPECT_EQ(with.fresh_k, without.fresh_k);
    EXPECT_EQ(with.fresh_v, without.fresh_v);
  }
}

TEST(GpuQkv, ARowAloneIsTheRowAmongOthers) {
  const Shape shape{66, 20, true};
  const int64_t width = kKvHeads * shape.head_dim, q_width = kHeads * shape.head_dim;
  for (const auto vendor : emulator::kWarpSizes) {
    Pass all(shape, two_segments(), kRows, DType::bf16);
    StepParams one{.segment_count = 1, .rows = 1};
    one.segments[0] = {.mode = Mode::denoise, .position = 250002, .row_begin = 0, .rows = 1};
    Pass alone(shape, one, 1, DType::bf16);
    std::copy_n(all.q.begin() + q_width, q_width, alone.q.begin());
    std::copy_n(all.k.begin() + width, width, alone.k.begin());
    std::copy_n(all.v.begin() + width, width, alone.v.begin());
    all.run(vendor, DType::bf16);
    alone.run(vendor, DType::bf16);
    const auto row = [](const auto& rows, int64_t n) {
      return std::vector(rows.begin() + n, rows.begin() + 2 * n);
    };
    EXPECT_EQ(alone.q, row(all.q, q_width));
    EXPECT_EQ(alone.fresh_k, row(all.fresh_k, 2 * width));
    EXPECT_EQ(alone.fresh_v, row(all.fresh_v, 2 * width));
  }
}

}  // namespace
}  // namespace potluck
