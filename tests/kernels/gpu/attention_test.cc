// The GPU's attention on the emulator, beside the reference.
#include "kernels/cpu/reference/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "kernels/cpu/reference/dequantize.h"
#include "tests/emulator/emulator.h"

namespace potluck {
namespace {

using Floats = std::vector<float>;
using Bytes = std::vector<std::byte>;
using emulator::Vendor;

constexpr int kSlots = 4;

struct Case {
  int heads, kv_heads, head_dim, window;
  DType type;
  int64_t capacity = 150;  // of a ring: no multiple of a tile of keys

  int64_t q_width() const { return heads * head_dim; }
  int64_t kv_width() const { return kv_heads * head_dim; }
  size_t kv_bytes(int64_t rows) const { return row_bytes(type, rows * kv_width()); }
};

constexpr Case kCases[] = {{4, 2, 16, 24, DType::f16},    {4, 1, 33, 0, DType::bf16},
                           {2, 2, 6, 70, DType::f32},     {6, 2, 136, 33, DType::bf16},
                           {2, 1, 256, 40, DType::f16},   {2, 1, 512, 0, DType::f16},
                           {10, 1, 264, 90, DType::bf16}, {6, 2, 24, 0, DType::f16, 700}};

gpu::Stored gpu_type(DType type) {
  return type == DType::f32   ? gpu::Stored::f32
         : type == DType::f16 ? gpu::Stored::f16
                              : gpu::Stored::bf16;
}

// The exact kernel or that in f16, on a vendor's emulated card.
struct Kernel {
  Vendor vendor;
  bool f16;

  bool takes(const Case& c) const {
    return !f16 || gpu::attention_f16_takes({.heads = c.heads,
                                             .kv_heads = c.kv_heads,
                                             .head_dim = c.head_dim,
                                             .type = gpu_type(c.type)});
  }
};

Segment segment(Mode mode, int slot, int position, int rows) {
  Segment s;
  s.mode = mode;
  s.slot = slot;
  s.position = position;
  s.rows = rows;
  return s;
}

// Canvas and encoded rows in turns. With a window some rings have been filled more than once; some
// rows' keys lie in more than one span.
std::vector<Segment> sessions(const Case& c) {
  const int laps = c.window ? 256404 : static_cast<int>(c.capacity) - 150;
  return {segment(Mode::encode, 2, laps + 101, 21), segment(Mode::denoise, 0, 40, 13),
          segment(Mode::encode, 1, 0, 1), segment(Mode::denoise, 3, laps + 66, 5),
          segment(Mode::denoise, 1, 0, 3)};
}

constexpr int kRows = 21 + 13 + 1 + 5 + 3;

Floats random_floats(int64_t n, uint32_t seed, float size) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> values(-size, size);
  Floats x(n);
  for (float& value : x) value = values(random);
  return x;
}

Bytes stored(DType type, const Floats& values) {
  Bytes bytes(row_bytes(type, static_cast<int64_t>(values.size())));
  cpu::quantize_row(type, values.data(), bytes.data(), static_cast<int64_t>(values.size()));
  return bytes;
}

// Everything that a pass of all sessions reads.
struct World {
  Case c;
  Floats q;
  Bytes ring_k, ring_v, fresh_k, fresh_v;

  explicit World(const Case& of)
      : c(of),
        q(random_floats(kRows * c.q_width(), 1, 4 / std::sqrt(float(c.head_dim)))),
        ring_k(stored(c.type, random_floats(kSlots * c.capacity * c.kv_width(), 2, 2))),
        ring_v(stored(c.type, random_floats(kSlots * c.capacity * c.kv_width(), 3, 2))),
        fresh_k(stored(c.type, random_floats(kRows * c.kv_width(), 4, 2))),
        fresh_v(stored(c.type, random_floats(kRows * c.kv_width(), 5, 2))) {
    cpu::round_to(DType::f16, q.data(), static_cast<int64_t>(q.size()));
  }
};

// Some rows of the world's pass: rows [first, first + rows) of it are its session's from `skip` on.
struct Piece {
  Segment segment;
  int first;
};

std::vector<Piece> all_of(const std::vector<Segment>& segments) {
  std::vector<Piece> pieces;
  int rows = 0;
  for (const Segment& s : segments) {
    pieces.push_back({s, rows});
    rows += s.rows;
  }
  return pieces;
}

// Runs some rows at a time, so that blocks begin elsewhere than the pass does; the last launch has
// room for more than there are.
void run_by_spans(Vendor vendor, gpu::Attention a) {
  constexpr int kAtATime = 29;
  const int rows = a.params->rows;
  gpu::SpanResults spans{.cached = gpu::cached_spans(a), .canvas = gpu::canvas_spans(rows)};
  spans.rows = kAtATime;
  const int count = spans.cached + spans.canvas;
  for (; a.first_row < rows; a.first_row += kAtATime) {
    const size_t heads = size_t{1} * count * spans.rows * a.heads;
    Floats sums(heads * a.head_dim, NAN);
    std::vector<gpu::SpanMass> masses(heads, {NAN, NAN});
    spans.sums = sums.data();
    spans.masses = masses.data();
    emulator::run(vendor, {spans.rows / gpu::attention_f16_rows(a) + 1, a.kv_heads * count},
                  gpu::AttentionF16{a, spans});
    emulator::run(vendor, {spans.rows},
                  gpu::AttentionMerge{a.params, spans, a.out, a.first_row, a.heads, a.head_dim});
  }
}

// The rows' outputs by the kernel, one piece after another.
Floats by_kernel(const Kernel& kernel, const World& w, const std::vector<Piece>& pieces) {
  const Case& c = w.c;
  StepParams params;
  Floats q;
  Bytes k, v;
  const auto append = [](const auto& from, int64_t begin, int64_t n, auto& to) {
    to.insert(to.end(), from.begin() + begin, from.begin() + begin + n);
  };
  for (const Piece& piece : pieces) {
    Segment s = piece.segment;
    s.row_begin = params.rows;
    params.segments[params.segment_count++] = s;
    params.rows += s.rows;
    append(w.q, piece.first * c.q_width(), s.rows * c.q_width(), q);
    append(w.fresh_k, c.kv_bytes(piece.first), c.kv_bytes(s.rows), k);
    append(w.fresh_v, c.kv_bytes(piece.first), c.kv_bytes(s.rows), v);
  }
  constexpr float kUntouched = 77;
  Floats out(q.size() + c.q_width(), kUntouched);
  const gpu::Attention a{&params,
                         q.data(),
                         out.data(),
                         {w.ring_k.data(), w.ring_v.data()},
                         {k.data(), v.data()},
                         c.capacity,
                         c.heads,
                         c.kv_heads,
                         c.head_dim,
                         c.window,
                         gpu_type(c.type)};
  if (kernel.f16)
    run_by_spans(kernel.vendor, a);
  else
    emulator::run(kernel.vendor, {params.rows / gpu::kAttentionRows + 1, c.heads}, a);
  EXPECT_EQ(out[q.size()], kUntouched);
  out.resize(q.size());
  return out;
}

Floats by_reference(const World& w, const std::vector<Piece>& pieces) {
  const Case& c = w.c;
  const cpu::AttentionShape shape{c.heads, c.kv_heads, c.head_dim, c.window, c.type};
  Floats out, scratch(cpu::attention_scratch(shape, c.capacity + kRows));
  cpu::ThreadPool pool(1);
  for (const auto& [s, first] : pieces) {
    const size_t ring = c.kv_bytes(s.slot * c.capacity), fresh = c.kv_bytes(first);
    Floats rows(s.rows * c.q_width());
    cpu::attention(shape,
                   {s.mode == Mode::denoise,
                    s.position,
                    s.rows,
                    {w.ring_k.data() + ring, w.ring_v.data() + ring, c.capacity},
                    {w.fresh_k.data() + fresh, w.fresh_v.data() + fresh, s.rows},
                    w.q.data() + first * c.q_width(),
                    rows.data()},
                   scratch.data(), scratch.size(), pool);
    out.insert(out.end(), rows.begin(), rows.end());
  }
  return out;
}

// Every value of |v| ≤ 2 weighs e^2δ as much as it should at most, where δ is how far off a score
// is: each of its head_dim products, 8 / √head_dim at most, is rounded twice, as are the sums on
// either side; sums over n keys round n + 8 times. A tensor core's sums may truncate. A weight of
// f16, of which q, K and V were from the start, is off by 2⁻¹¹ of itself or by 2⁻²⁵.
double tolerance(const Kernel& kernel, const Case& c) {
  const double delta = c.head_dim * (kernel.f16 ? 0x1p-21 : 0x1p-23) * 8 * std::sqrt(c.head_dim);
  const double weights = kernel.f16 ? 0x1p-11 + c.capacity * 0x1p-25 : 0;
  return 2 * (std::expm1(2 * delta) + (c.capacity + 8) * 0x1p-23 + 2 * weights);
}

class GpuAttention : public testing::TestWithParam<Kernel> {};

TEST_P(GpuAttention, IsTheReference) {
  for (const Case& c : kCases) {
    if (!GetParam().takes(c)) continue;
    const World w(c);
    const std::vector<Piece> pieces = all_of(sessions(c));
    const Floats expected = by_reference(w, pieces), actual = by_kernel(GetParam(), w, pieces);
    for (size_t i = 0; i < expected.size(); ++i)
      ASSERT_NEAR(actual[i], expected[i], tolerance(GetParam(), c))
          << "head of " << c.head_dim << ", value " << i % c.q_width() << " of row "
          << i / c.q_width();
  }
}

TEST_P(GpuAttention, ARowAloneHasTheSameBits) {
  for (const Case& c : kCases) {
    if (c.head_dim > 64 || !GetParam().takes(c)) continue;
    const World w(c);
    const std::vector<Piece> pieces = all_of(sessions(c));
    const Floats together = by_kernel(GetParam(), w, pieces);
    for (const auto& [s, first] : pieces) {
      Floats alone;
      if (s.mode == Mode::denoise)
        alone = by_kernel(GetParam(), w, {{s, first}});
      else
        for (int t = 0; t < s.rows; t += 10) {  // in chunks of ten, each a pass of its own
          const int rows = std::min(10, s.rows - t);
          const Segment chunk = segment(Mode::encode, s.slot, s.position + t, rows);
          const Floats some = by_kernel(GetParam(), w, {{chunk, first + t}});
          alone.insert(alone.end(), some.begin(), some.end());
        }
      EXPECT_EQ(0, std::memcmp(alone.data(), together.data() + first * c.q_width(),
                               alone.size() * sizeof(float)))
          << "head of " << c.head_dim << ", session from row " << first;
    }
  }
}

TEST_P(GpuAttention, OfOneKeyIsThatKeysValue) {
  for (const Case& c : kCases) {
    if (!GetParam().takes(c)) continue;
    const World w(c);
    const std::vector<Piece> first = {{segment(Mode::encode, 1, 0, 1), 34}};
    EXPECT_EQ(by_kernel(GetParam(), w, first), by_reference(w, first)) << c.head_dim;
  }
}

// Scores of −256, whose e^score is 0: all weigh the same.
TEST_P(GpuAttention, TakesScoresFarBelowZero) {
  const Case c{2, 1, 16, 0, DType::f16};
  World w(c);
  std::fill(w.q.begin(), w.q.end(), -16.0f);
  w.ring_k = stored(c.type, Floats(kSlots * c.capacity * c.kv_width(), 1));
  w.fresh_k = stored(c.type, Floats(kRows * c.kv_width(), 1));
  const std::vector<Piece> pieces = all_of(sessions(c));
  const Floats expected = by_reference(w, pieces), actual = by_kernel(GetParam(), w, pieces);
  for (size_t i = 0; i < expected.size(); ++i)
    ASSERT_NEAR(actual[i], expected[i], 2 * (c.capacity + 8) * 0x1p-23) << i / c.q_width();
}

// Each row sees two keys, and of q a value for each: so that what is rounded to f16 shows.
TEST(GpuAttentionF16, RoundsQueriesAndWeightsToTheNearest) {
  const Case c{1, 1, 8, 2, DType::f16};
  World w(c);
  w.q = random_floats(kRows * c.q_width(), 6, 1);
  Floats keys(kSlots * c.capacity * c.kv_width());
  for (int64_t p = 0; p < kSlots * c.capacity; ++p) keys[p * 8 + p % 2] = 1;
  w.ring_k = stored(c.type, keys);
  Floats values(keys.size());
  cpu::dequantize_row(c.type, w.ring_v.data(), values.data(), values.size());
  const Floats out = by_kernel({Vendor::cuda, true}, w, {{segment(Mode::encode, 0, 5, kRows), 0}});
  const auto f16 = [](float x) { return f32_from_f16(f16_from_f32(x)); };
  for (int t = 0; t < kRows; ++t) {
    const int last = 5 + t, before = last - 1;
    const float score = f16(w.q[t * 8 + last % 2]), other = f16(w.q[t * 8 + before % 2]);
    const float most = std::max(score, other);
    const double weight = f16(std::exp(score - most)), rest = f16(std::exp(other - most));
    for (int i = 0; i < 8; ++i)
      ASSERT_NEAR(out[t * 8 + i],
                  (weight * values[last * 8 + i] + rest * values[before * 8 + i]) / (weight + rest),
                  4 * 0x1p-23)
          << "row " << t;
  }
}

TEST(GpuAttentionSpans, FollowOneAnotherAndGrowWithoutAWindow) {
  for (const bool window : {false, true})
    for (int i = 0, end = 0; i < 28; ++i) {
      const gpu::KeyRange span = gpu::key_span(i, window);
      EXPECT_EQ(span.first, end);
      EXPECT_EQ(span.last % 512, 0);
      EXPECT_LE(span.last - span.first, std::max(512, window ? 0 : span.first / 4));
      end = span.last;
    }
  EXPECT_EQ(gpu::key_span(27, false).last, 128 << 10);
  EXPECT_EQ(gpu::cached_spans({.capacity = 128 << 10, .heads = 1, .kv_heads = 1}), 28);
}

std::vector<Kernel> all_kernels() {
  std::vector<Kernel> kernels;
  for (const Vendor vendor : emulator::kWarpSizes) kernels.push_back({vendor, false});
  for (const Vendor vendor : emulator::kVendors) kernels.push_back({vendor, true});
  return kernels;
}

INSTANTIATE_TEST_SUITE_P(Kernels, GpuAttention, testing::ValuesIn(all_kernels()),
                         [](const auto& kernel) {
                           return std::string(kernel.param.f16 ? "F16_" : "Exact_") +
                                  name_of(kernel.param.vendor);
                         });

}  // namespace
}  // namespace potluck
