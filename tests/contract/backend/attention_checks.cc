// Norm, rotation and storing of Q, K and V, and attention over rings and canvases of several
// sessions in one pass.
#include <algorithm>
#include <cmath>

#include "kernels/cpu/reference/attention.h"
#include "kernels/cpu/reference/dequantize.h"
#include "kernels/cpu/reference/rms_norm.h"
#include "kernels/cpu/reference/rope.h"
#include "tests/contract/backend/backend_bench.h"

namespace potluck {
namespace {

constexpr int kSlots = 5, kHeads = 4;
constexpr int64_t kCapacity = 320;  // of a ring, which some sessions have filled more than once

struct Case {
  int kv_heads, head_dim, window, rope_pairs;
  bool has_v;
  DType type;

  AttentionLayer layer() const {
    return {kHeads, kv_heads, head_dim, window, rope_pairs, 1e4f, 1e-6f};
  }
  int64_t q_width() const { return kHeads * head_dim; }
  int64_t kv_width() const { return kv_heads * head_dim; }
};

constexpr Case kCases[] = {{2, 16, 24, 8, true, DType::f16},
                           {1, 32, 0, 5, false, DType::bf16},
                           {4, 6, 33, 3, true, DType::f32}};

// Encoded and canvas rows in turns; full layers' positions stay within their ring.
std::vector<Segment> sessions(bool full) {
  const auto segment = [](Mode mode, int slot, int position, int rows) {
    Segment s;
    s.mode = mode;
    s.slot = slot;
    s.position = position;
    s.rows = rows;
    return s;
  };
  std::vector<Segment> all = {segment(Mode::encode, 2, full ? 200 : 2 * kCapacity - 3, 7),
                              segment(Mode::denoise, 0, 40, 33), segment(Mode::encode, 1, 0, 1),
                              segment(Mode::denoise, 4, full ? 9 : 1000, 17),
                              segment(Mode::encode, 3, full ? 5 : 300, 256)};
  for (size_t i = 1; i < all.size(); ++i) all[i].row_begin = all[i - 1].row_begin + all[i - 1].rows;
  return all;
}

constexpr int kRows = 7 + 33 + 1 + 17 + 256;

struct Operands {
  Floats q, k, v, q_norm, k_norm, ring_k, ring_v, fresh_k, fresh_v;

  explicit Operands(const Case& c)
      : q(random_floats(kRows * c.q_width(), 51, 0.5f)),
        k(random_floats(kRows * c.kv_width(), 52, 2)),
        v(random_floats(kRows * c.kv_width(), 53, 2)),
        q_norm(random_floats(c.head_dim, 54)),
        k_norm(random_floats(c.head_dim, 55)),
        ring_k(rounded(c, kSlots * kCapacity, 56)),
        ring_v(rounded(c, kSlots * kCapacity, 57)),
        fresh_k(rounded(c, kRows, 58)),
        fresh_v(rounded(c, kRows, 59)) {}

  static Floats rounded(const Case& c, int64_t rows, uint32_t seed) {
    Floats values = random_floats(rows * c.kv_width(), seed, 0.5f);
    cpu::round_to(c.type, values.data(), static_cast<int64_t>(values.size()));
    return values;
  }
};

Floats part(const Floats& values, const Segment& s, int64_t n) {
  const auto begin = values.begin() + s.row_begin * n;
  return {begin, begin + s.rows * n};
}

// The stored form of K or V on the device, and back.
Tensor put_stored(BackendBench& bench, DType type, const Floats& values) {
  std::vector<std::byte> bytes(row_bytes(type, static_cast<int64_t>(values.size())));
  cpu::quantize_row(type, values.data(), bytes.data(), static_cast<int64_t>(values.size()));
  const Tensor tensor = bench->allocate(bytes.size());
  bench->upload(bytes.data(), bytes.size(), tensor);
  return tensor;
}

Floats read_stored(BackendBench& bench, DType type, Tensor from, size_t count) {
  const auto bytes = bench.read<std::byte>(from, static_cast<int64_t>(from.bytes));
  Floats values(count);
  cpu::dequantize_row(type, bytes.data(), values.data(), static_cast<int64_t>(count));
  return values;
}

void reserve(BackendBench& bench) {
  ModelSpec spec = small_spec(kHeads * 32);
  spec.window = 33;
  spec.layers = {{.kv_heads = 4, .head_dim = 32}, {.full = true, .kv_heads = 4, .head_dim = 32}};
  bench->reserve({.spec = &spec, .rows = kRows, .keys = kCapacity + kRows});
}

struct Stored {
  Floats q, ring_k, ring_v, fresh_k, fresh_v;
};

// One pass of these segments; their rows are cut out of the operands and lie one after the other.
Stored run_qkv(const BackendKind& kind, const Case& c, const Operands& o,
               const std::vector<Segment>& chosen) {
  BackendBench bench(kind);
  reserve(bench);
  std::vector<Segment> segments = chosen;
  Stored rows;
  Floats k, v, fresh;
  int begin = 0;
  for (Segment& s : segments) {
    const auto append = [](const Floats& from, Floats& to) {
      to.insert(to.end(), from.begin(), from.end());
    };
    append(part(o.q, s, c.q_width()), rows.q);
    append(part(o.k, s, c.kv_width()), k);
    append(part(o.v, s, c.kv_width()), v);
    s.row_begin = begin;
    begin += s.rows;
  }
  fresh.resize(k.size());
  const Tensor q = bench.put(rows.q);
  const KvLayer kv{put_stored(bench, c.type, o.ring_k), put_stored(bench, c.type, o.ring_v),
                   kCapacity, c.type};
  const KvLayer canvas{put_stored(bench, c.type, fresh), put_stored(bench, c.type, fresh), begin,
                       c.type};
  bench->qkv({.params = bench.put(segments),
              .layer = c.layer(),
              .q_norm = bench.put(o.q_norm),
              .k_norm = bench.put(o.k_norm),
              .q = q,
              .k = bench.put(k),
              .v = c.has_v ? bench.put(v) : Tensor{},
              .kv = kv,
              .fresh = canvas,
              .rows = begin});
  return {bench.floats(q, static_cast<int64_t>(rows.q.size())),
          read_stored(bench, c.type, kv.k, o.ring_k.size()),
          read_stored(bench, c.type, kv.v, o.ring_v.size()),
          read_stored(bench, c.type, canvas.k, fresh.size()),
          read_stored(bench, c.type, canvas.v, fresh.size())};
}

void norm_heads(Floats& row, const float* weight, int dim) {
  for (size_t at = 0; at < row.size(); at += static_cast<size_t>(dim))
    cpu::rms_norm_row(row.data() + at, weight, 1e-6f, dim, row.data() + at);
}

Stored expected_qkv(const Case& c, const Operands& o, const std::vector<Segment>& segments) {
  Stored out{o.q, o.ring_k, o.ring_v, Floats(o.k.size()), Floats(o.k.size())};
  Floats frequency(static_cast<size_t>(c.rope_pairs)), sine = frequency, cosine = frequency;
  cpu::rope_frequencies(c.head_dim, c.rope_pairs, 1e4f, frequency.data());
  for (const Segment& s : segments)
    for (int t = 0; t < s.rows; ++t) {
      const Segment row{.row_begin = s.row_begin + t, .rows = 1};
      Floats q = part(o.q, row, c.q_width()), k = part(o.k, row, c.kv_width());
      Floats v = c.has_v ? part(o.v, row, c.kv_width()) : k;
      norm_heads(q, o.q_norm.data(), c.head_dim);
      norm_heads(k, o.k_norm.data(), c.head_dim);
      norm_heads(v, nullptr, c.head_dim);
      cpu::rope_angles(s.position + t, frequency.data(), c.rope_pairs, sine.data(), cosine.data());
      cpu::rope_row(q.data(), sine.data(), cosine.data(), kHeads, c.head_dim, c.rope_pairs);
      cpu::rope_row(k.data(), sine.data(), cosine.data(), c.kv_heads, c.head_dim, c.rope_pairs);
      cpu::round_to(c.type, k.data(), c.kv_width());
      cpu::round_to(c.type, v.data(), c.kv_width());
      const bool ring = s.mode == Mode::encode;
      const int64_t at = ring ? s.slot * kCapacity + (s.position + t) % kCapacity : row.row_begin;
      std::copy(q.begin(), q.end(), out.q.begin() + row.row_begin * c.q_width());
      std::copy(k.begin(), k.end(), (ring ? out.ring_k : out.fresh_k).begin() + at * c.kv_width());
      std::copy(v.begin(), v.end(), (ring ? out.ring_v : out.fresh_v).begin() + at * c.kv_width());
    }
  return out;
}

// A norm over D values is off by (D + 8) · 2⁻²⁴ of itself and a rotation by 2⁻²² of a pair, which
// is under √D in size here; K and V may fall on the next value of their type (bf16: 2⁻⁷ of it).
std::vector<double> qkv_tolerance(const BackendKind& kind, const Case& c, const Floats& expected,
                                  bool stored) {
  std::vector<double> tolerance;
  const double step = !stored || c.type == DType::f32 ? 0 : c.type == DType::f16 ? 0x1p-10 : 0x1p-7;
  for (size_t i = 0; i < expected.size() && !kind.exact; ++i)
    tolerance.push_back((c.head_dim + 16) * 0x1p-22 * c.head_dim + step * std::fabs(expected[i]));
  return tolerance;
}

Findings stores_keys_and_values(const BackendKind& kind) {
  Findings findings;
  for (const Case& c : kCases) {
    const Operands o(c);
    const std::vector<Segment> segments = sessions(c.window == 0);
    const Stored expected = expected_qkv(c, o, segments);
    const Stored together = run_qkv(kind, c, o, segments);
    const auto check = [&](const char* what, const Floats& e, const Floats& a, bool stored) {
      compare(findings, std::string("qkv: ") + what, e, a, qkv_tolerance(kind, c, e, stored));
    };
    check("q", expected.q, together.q, false);
    check("keys of the rings", expected.ring_k, together.ring_k, true);
    check("values of the rings", expected.ring_v, together.ring_v, true);
    check("keys of the canvases", expected.fresh_k, together.fresh_k, true);
    check("values of the canvases", expected.fresh_v, together.fresh_v, true);
    for (const Segment& s : segments) {
      const Stored alone = run_qkv(kind, c, o, {s});
      const std::string where = " of session " + std::to_string(s.slot) + " alone";
      compare(findings, "qkv: q" + where, part(together.q, s, c.q_width()), alone.q);
      compare(findings, "qkv: canvas keys" + where, part(together.fresh_k, s, c.kv_width()),
              alone.fresh_k);
      const Segment ring{.row_begin = static_cast<int>(s.slot * kCapacity),
                         .rows = static_cast<int>(kCapacity)};
      compare(findings, "qkv: values" + where, part(together.ring_v, ring, c.kv_width()),
              part(alone.ring_v, ring, c.kv_width()));
    }
  }
  return findings;
}

Floats run_attention(const BackendKind& kind, const Case& c, const Operands& o,
                     const std::vector<Segment>& chosen) {
  BackendBench bench(kind);
  reserve(bench);
  std::vector<Segment> segments = chosen;
  Floats q, fresh_k, fresh_v;
  int begin = 0;
  for (Segment& s : segments) {
    const auto append = [](const Floats& from, Floats& to) {
      to.insert(to.end(), from.begin(), from.end());
    };
    append(part(o.q, s, c.q_width()), q);
    append(part(o.fresh_k, s, c.kv_width()), fresh_k);
    append(part(o.fresh_v, s, c.kv_width()), fresh_v);
    s.row_begin = begin;
    begin += s.rows;
  }
  const Tensor out = bench.space(static_cast<int64_t>(q.size()));
  bench->attention({.params = bench.put(segments),
                    .layer = c.layer(),
                    .q = bench.put(q),
                    .kv = {put_stored(bench, c.type, o.ring_k), put_stored(bench, c.type, o.ring_v),
                           kCapacity, c.type},
                    .fresh = {put_stored(bench, c.type, fresh_k),
                              put_stored(bench, c.type, fresh_v), begin, c.type},
                    .rows = begin,
                    .out = out});
  return bench.floats(out, static_cast<int64_t>(q.size()));
}

// The rows of K and V that row t of a segment sees, as offsets into the operands.
struct Seen {
  bool ring;
  int64_t row;
};

std::vector<Seen> seen_by(const Case& c, const Segment& s, int t) {
  std::vector<Seen> seen;
  const bool denoise = s.mode == Mode::denoise;
  const int64_t last = denoise ? s.position : s.position + t + 1;
  const int64_t reach = c.window ? (denoise ? c.window - 1 : c.window) : last;
  for (int64_t p = std::max<int64_t>(0, last - reach); p < last; ++p)
    seen.push_back({true, s.slot * kCapacity + p % kCapacity});
  for (int i = 0; denoise && i < s.rows; ++i) seen.push_back({false, s.row_begin + i});
  return seen;
}

// One head of one row in double: the sums, and how far a backend that rounds may be from them.
// Scores of 8 bits of K (16 of q) are off by δ = 2⁻⁸ · Σ |q·k|, so weights by e^2δ − 1 of
// themselves; weights and V keep 8 bits each alone, or 13 of the largest beside them.
struct Head {
  std::vector<double> sum, tolerance;
};

Head attend(const Case& c, const Operands& o, const Segment& s, int t, int head) {
  const int dim = c.head_dim;
  const int64_t offset = head / (kHeads / c.kv_heads) * dim;
  const float* q = o.q.data() + (s.row_begin + t) * c.q_width() + head * dim;
  const std::vector<Seen> seen = seen_by(c, s, t);
  std::vector<double> weight(seen.size());
  double delta = 0, mass = 0, most = 0;
  for (size_t i = 0; i < seen.size(); ++i) {
    const float* k =
        (seen[i].ring ? o.ring_k : o.fresh_k).data() + seen[i].row * c.kv_width() + offset;
    double score = 0, size = 0;
    for (int j = 0; j < dim; ++j) {
      score += static_cast<double>(q[j]) * k[j];
      size += std::fabs(static_cast<double>(q[j]) * k[j]);
    }
    delta = std::max(delta, (0x1.1p-8 + dim * 0x1p-22) * size);
    mass += weight[i] = std::exp(score);
  }
  Head out{std::vector<double>(static_cast<size_t>(dim)),
           std::vector<double>(static_cast<size_t>(dim))};
  for (double& w : weight) most = std::max(most, w /= mass);
  for (int j = 0; j < dim; ++j) {
    double size = 0, all = 0, largest = 0;
    for (size_t i = 0; i < seen.size(); ++i) {
      const double v =
          (seen[i].ring ? o.ring_v
                        : o.fresh_v)[static_cast<size_t>(seen[i].row * c.kv_width() + offset + j)];
      out.sum[static_cast<size_t>(j)] += weight[i] * v;
      size += weight[i] * std::fabs(v);
      all += std::fabs(v);
      largest = std::max(largest, std::fabs(v));
    }
    out.tolerance[static_cast<size_t>(j)] =
        (std::expm1(2 * delta) + 0x1p-7 + static_cast<double>(seen.size()) * 0x1p-22) * size +
        0x1p-13 * (most * all + largest);
  }
  return out;
}

Floats reference_attention(const Case& c, const Operands& o, const Segment& s) {
  const auto stored = [&](const Floats& values) {
    std::vector<std::byte> bytes(row_bytes(c.type, static_cast<int64_t>(values.size())));
    cpu::quantize_row(c.type, values.data(), bytes.data(), static_cast<int64_t>(values.size()));
    return bytes;
  };
  const auto ring_k = stored(o.ring_k), ring_v = stored(o.ring_v);
  const auto fresh_k = stored(part(o.fresh_k, s, c.kv_width()));
  const auto fresh_v = stored(part(o.fresh_v, s, c.kv_width()));
  const size_t slot = row_bytes(c.type, c.kv_width()) * static_cast<size_t>(s.slot * kCapacity);
  const cpu::AttentionShape shape{kHeads, c.kv_heads, c.head_dim, c.window, c.type};
  cpu::AttentionSegment segment{s.mode == Mode::denoise, s.position, s.rows, {}, {}};
  segment.cache = {ring_k.data() + slot, ring_v.data() + slot, kCapacity};
  segment.fresh = {fresh_k.data(), fresh_v.data(), s.rows};
  const auto stride = static_cast<int64_t>(cpu::attention_scratch(shape, kCapacity + s.rows));
  Floats scratch(static_cast<size_t>(stride)), out(static_cast<size_t>(s.rows * c.q_width()));
  cpu::ThreadPool pool(1);
  segment.q = o.q.data() + s.row_begin * c.q_width();
  segment.out = out.data();
  cpu::attention(shape, segment, scratch.data(), stride, pool);
  return out;
}

void check_segment(Findings& findings, const BackendKind& kind, const Case& c, const Operands& o,
                   const Segment& s, const Floats& actual) {
  const std::string what = "attention of session " + std::to_string(s.slot);
  if (kind.exact) return compare(findings, what, reference_attention(c, o, s), actual);
  Floats expected;
  std::vector<double> tolerance;
  for (int t = 0; t < s.rows; ++t)
    for (int head = 0; head < kHeads; ++head) {
      const Head h = attend(c, o, s, t, head);
      expected.insert(expected.end(), h.sum.begin(), h.sum.end());
      tolerance.insert(tolerance.end(), h.tolerance.begin(), h.tolerance.end());
    }
  compare(findings, what, expected, actual, tolerance);
}

Findings attends_to_what_each_row_sees(const BackendKind& kind) {
  Findings findings;
  for (const Case& c : kCases) {
    const Operands o(c);
    const std::vector<Segment> segments = sessions(c.window == 0);
    const Floats together = run_attention(kind, c, o, segments);
    for (const Segment& s : segments) {
      check_segment(findings, kind, c, o, s, part(together, s, c.q_width()));
      compare(findings, "attention of session " + std::to_string(s.slot) + " alone",
              part(together, s, c.q_width()), run_attention(kind, c, o, {s}));
    }
  }
  return findings;
}

}  // namespace

std::vector<BackendCheck> attention_checks() {
  return {{"StoresKeysAndValues", stores_keys_and_values},
          {"AttendsToWhatEachRowSees", attends_to_what_each_row_sees}};
}

}  // namespace potluck
