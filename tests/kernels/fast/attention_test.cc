// Attention is held to a loop in double, and a row has the same bits whatever is computed beside
// it.
#include "kernels/cpu/fast/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <random>
#include <vector>

#include "kernels/cpu/reference/dequantize.h"
#include "tests/kernels/isa_test.h"

namespace potluck::cpu {
namespace {

using Floats = std::vector<float>;

// A session whose ring wraps: `cached` positions are valid, the ring holds the last `capacity`.
struct Session {
  AttentionShape shape;
  int64_t capacity, cached, rows;
  Floats q, k, v, fresh_k, fresh_v;  // k, v: by position, [cached, kv_heads, head_dim]

  Session(const AttentionShape& shape_, int64_t capacity_, int64_t cached_, int64_t rows_)
      : shape(shape_), capacity(capacity_), cached(cached_), rows(rows_) {
    std::mt19937 random(5);
    std::normal_distribution<float> normal;
    const auto fill = [&](int64_t n) {
      Floats values(static_cast<size_t>(n));
      for (float& value : values) value = normal(random) * 0.5f;
      round_to(shape.kv_type, values.data(), n);
      return values;
    };
    q = fill(rows * shape.heads * shape.head_dim);
    k = fill(cached * width());
    v = fill(cached * width());
    fresh_k = fill(rows * width());
    fresh_v = fill(rows * width());
  }

  int64_t width() const { return static_cast<int64_t>(shape.kv_heads) * shape.head_dim; }
  int64_t q_width() const { return static_cast<int64_t>(shape.heads) * shape.head_dim; }

  std::vector<std::byte> ring_of(const Floats& by_position) const {
    const size_t bytes = row_bytes(shape.kv_type, width());
    std::vector<std::byte> ring(bytes * static_cast<size_t>(capacity));
    for (int64_t p = std::max<int64_t>(0, cached - capacity); p < cached; ++p)
      quantize_row(shape.kv_type, by_position.data() + p * width(),
                   ring.data() + static_cast<size_t>(p % capacity) * bytes, width());
    return ring;
  }

  std::vector<std::byte> stored(const Floats& values) const {
    std::vector<std::byte> bytes(row_bytes(shape.kv_type, static_cast<int64_t>(values.size())));
    quantize_row(shape.kv_type, values.data(), bytes.data(), static_cast<int64_t>(values.size()));
    return bytes;
  }

  // Rows [first, first + count) as one segment. Encoded rows are the last `rows` of the cached.
  Floats run(bool denoise, int64_t first, int64_t count, int threads) const {
    const auto ring_k = ring_of(k), ring_v = ring_of(v);
    const auto own_k = stored(fresh_k), own_v = stored(fresh_v);
    AttentionSegment segment{denoise, denoise ? cached : cached - rows + first, count, {}, {}};
    segment.cache = {ring_k.data(), ring_v.data(), capacity};
    segment.fresh = {own_k.data(), own_v.data(), count};
    const auto stride = static_cast<int64_t>(attention_scratch(shape, cached + rows));
    Floats out(static_cast<size_t>(count * q_width()));
    Floats scratch(static_cast<size_t>(stride * threads));
    ThreadPool pool(threads);
    segment.q = q.data() + first * q_width();
    segment.out = out.data();
    attention(shape, segment, scratch.data(), stride, pool);
    return out;
  }

  // The same, on an instruction set.
  Floats fast(Isa isa, bool denoise, int64_t first, int64_t count, int threads) const {
    const auto ring_k = ring_of(k), ring_v = ring_of(v);
    const auto own_k = stored(fresh_k), own_v = stored(fresh_v);
    AttentionSegment segment{denoise, denoise ? cached : cached - rows + first, count, {}, {}};
    segment.cache = {ring_k.data(), ring_v.data(), capacity};
    segment.fresh = {own_k.data(), own_v.data(), count};
    Floats out(static_cast<size_t>(count * q_width()));
    void* scratch =
        std::aligned_alloc(64, fast_attention_scratch(isa, shape) * static_cast<size_t>(threads));
    ThreadPool pool(threads);
    segment.q = q.data() + first * q_width();
    segment.out = out.data();
    fast_attention(isa, shape, segment, scratch, pool);
    std::free(scratch);
    return out;
  }

  // Row t in double over the keys that shard/MODEL.md's masks name.
  std::vector<double> by_definition(bool denoise, int64_t t, int64_t head) const {
    const int64_t last = denoise ? cached : cached - rows + t + 1;
    const int64_t reach = shape.window ? (denoise ? shape.window - 1 : shape.window) : last;
    const int64_t offset = head / (shape.heads / shape.kv_heads) * shape.head_dim;
    std::vector<double> sum(static_cast<size_t>(shape.head_dim), 0);
    double mass = 0;
    const auto add = [&](const Floats& keys, const Floats& values, int64_t row) {
      double score = 0;
      for (int64_t j = 0; j < shape.head_dim; ++j)
        score +=
            static_cast<double>(q[static_cast<size_t>(t * q_width() + head * shape.head_dim + j)]) *
            keys[static_cast<size_t>(row * width() + offset + j)];
      mass += std::exp(score);
      for (int64_t j = 0; j < shape.head_dim; ++j)
        sum[static_cast<size_t>(j)] +=
            std::exp(score) * values[static_cast<size_t>(row * width() + offset + j)];
    };
    for (int64_t p = std::max<int64_t>(0, last - reach); p < last; ++p) add(k, v, p);
    for (int64_t p = 0; denoise && p < rows; ++p) add(fresh_k, fresh_v, p);
    for (double& value : sum) value /= mass;
    return sum;
  }
};

const Session kSessions[] = {
    {{4, 2, 6, 5, DType::f32}, 12, 9, 3},        // heads of 6, a window that has passed
    {{4, 4, 20, 0, DType::bf16}, 64, 50, 17},    // full, one head a KV head
    {{24, 1, 32, 40, DType::bf16}, 75, 101, 7},  // 24 heads on one, a ring that wrapped
    {{6, 3, 16, 33, DType::f16}, 96, 90, 37},
    {{8, 2, 48, 0, DType::bf16}, 400, 300, 61}};  // several tiles of keys

// Scores reach ±15 with errors of 2⁻²⁰, so weights are off by 1e-5 of themselves at most.
TEST(Attention, MeetsADoubleLoopInBothModes) {
  for (const Session& s : kSessions)
    for (bool denoise : {false, true}) {
      const Floats out = s.run(denoise, 0, s.rows, 2);
      for (int64_t t = 0; t < s.rows; ++t)
        for (int64_t h = 0; h < s.shape.heads; ++h) {
          const std::vector<double> expected = s.by_definition(denoise, t, h);
          for (int64_t j = 0; j < s.shape.head_dim; ++j)
            ASSERT_NEAR(out[static_cast<size_t>(t * s.q_width() + h * s.shape.head_dim + j)],
                        expected[static_cast<size_t>(j)], 2e-5)
                << "head dim " << s.shape.head_dim << " denoise " << denoise << " row " << t;
        }
    }
}

TEST(Attention, ChunksAndThreadsChangeNoBit) {
  for (const Session& s : kSessions) {
    const Floats whole = s.run(false, 0, s.rows, 1);
    EXPECT_EQ(s.run(false, 0, s.rows, 3), whole);
    EXPECT_EQ(s.run(true, 0, s.rows, 3), s.run(true, 0, s.rows, 1));
    for (int64_t t = 0; t < s.rows; ++t) {
      const Floats row(whole.begin() + t * s.q_width(), whole.begin() + (t + 1) * s.q_width());
      EXPECT_EQ(s.run(false, t, 1, 1), row) << t;
    }
  }
}

class FastAttention : public IsaTest {};
POTLUCK_FOR_EACH_ISA(FastAttention);

// bf16: each score is off by 2⁻⁸ of Σ |q·k| ≤ 8 at most, so a weight by 3 %, and V's share of that
// (values of ½) stays under 0.03.
TEST_P(FastAttention, MeetsTheReferenceInBothModes) {
  const Isa isa = GetParam();
  for (const Session& s : kSessions)
    for (bool denoise : {false, true}) {
      const Floats expected = s.run(denoise, 0, s.rows, 2);
      const Floats actual = s.fast(isa, denoise, 0, s.rows, 2);
      for (size_t i = 0; i < expected.size(); ++i)
        ASSERT_NEAR(actual[i], expected[i], 0.03)
            << isa_name(isa) << " head dim " << s.shape.head_dim << " at " << i;
    }
}

TEST_P(FastAttention, ChunksAndThreadsChangeNoBit) {
  const Isa isa = GetParam();
  for (const Session& s : kSessions) {
    const Floats whole = s.fast(isa, false, 0, s.rows, 1);
    EXPECT_EQ(s.fast(isa, false, 0, s.rows, 3), whole);
    EXPECT_EQ(s.fast(isa, true, 0, s.rows, 3), s.fast(isa, true, 0, s.rows, 1));
    for (int64_t t = 0; t < s.rows; ++t) {
      const Floats row(whole.begin() + t * s.q_width(), whole.begin() + (t + 1) * s.q_width());
      EXPECT_EQ(s.fast(isa, false, t, 1, 1), row) << isa_name(isa) << " " << t;
    }
  }
}

}  // namespace
}  // namespace potluck::cpu
