// Operations over drawn shapes and values, on the card and by the CPU's reference. Where the whole
// result of an operation is compared, the root mean square of the difference is held against that
// of the result: a rounding to a share e of each term, n of them of random sign, leaves e of it.
#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <random>
#include <string>

#include "backends/cpu/cpu_backend.h"
#include "tests/contract/backend/backend_bench.h"
#include "tests/gpu_check/check.h"
#include "tests/gpu_check/drawn_weights.h"

namespace potluck {
namespace {

// Sums of n terms in f32, in whatever order, are off by at most √n · 2⁻²⁴ in the mean; twice that
// for the terms' own rounding, and four times for short sums.
double exact_tolerance(int64_t terms) {
  return 8 * std::sqrt(static_cast<double>(terms)) * 0x1p-24;
}
// Usual care: 8 bits of one factor in blocks of 32 lose 2⁻⁷ / √3 of each term where all are as
// large as the largest of their block, and about twice that as values fall.
constexpr double kUsual = 0x1p-6;

// An operation with operands of its own, which it takes to whatever backend it is run on.
struct Case {
  std::string name;
  double exact, fast;  // tolerances
  std::function<Floats(BackendBench&)> run;
};

struct DrawnMatrix {
  DType type;
  int64_t count, rows, columns;
  TensorBytes blocks;

  Matrix put(BackendBench& bench, Care care = Care::usual) const {
    return bench->load_matrix(blocks, type, count, rows, columns, care);
  }
};

// Shapes by chance, of which some are those of the released model.
class Draws final {
 public:
  Draws(uint32_t seed, bool tiny) : random_(seed), tiny_(tiny) {}

  bool tiny() const { return tiny_; }
  uint32_t seed() { return static_cast<uint32_t>(random_()); }
  int within(int least, int most) {
    return least + static_cast<int>(random_() % static_cast<uint32_t>(most - least + 1));
  }
  int rows() { return within(1, tiny_ ? 9 : 70); }
  int of(int small, int real) const { return tiny_ ? small : real; }

  Floats floats(int64_t n, float scale = 1) { return random_floats(n, seed(), scale); }
  DrawnMatrix matrix(DType type, int64_t count, int64_t rows, int64_t columns) {
    const uint64_t bytes = row_bytes(type, columns) * static_cast<uint64_t>(count * rows);
    return {type, count, rows, columns, drawn_blocks(type, bytes, columns, seed())};
  }

 private:
  std::mt19937 random_;
  bool tiny_;
};

constexpr DType kTypes[] = {
    DType::f32,     DType::f16,   DType::bf16,   DType::q8_0,    DType::q4_0,   DType::q4_1,
    DType::q5_0,    DType::q5_1,  DType::iq4_nl, DType::iq4_xs,  DType::q2_k,   DType::q3_k,
    DType::q4_k,    DType::q5_k,  DType::q6_k,   DType::iq2_xxs, DType::iq2_xs, DType::iq2_s,
    DType::iq3_xxs, DType::iq3_s, DType::iq1_s,  DType::iq1_m,   DType::mxfp4};

void reserve(BackendBench& bench, const ModelSpec& spec, int rows, bool head) {
  bench->reserve({.spec = &spec, .rows = rows, .keys = 4096, .head = head});
}

Case matmul_case(Draws& draws, DType type) {
  const bool whole_blocks = block_shape(type).values == 256;
  const int64_t columns = whole_blocks ? draws.of(256, 2816) : draws.of(96, 2112);
  const int64_t outputs = draws.within(1, draws.of(90, 700));
  const int rows = draws.rows();
  const auto x = draws.floats(rows * columns);
  const DrawnMatrix w = draws.matrix(type, 1, outputs, columns);
  return {"matmul " + std::string(dtype_name(type)) + " " + std::to_string(rows) + " x " +
              std::to_string(outputs) + " x " + std::to_string(columns),
          exact_tolerance(columns), kUsual, [=](BackendBench& bench) {
            const Matrix matrix = w.put(bench);
            reserve(bench, small_spec(static_cast<int>(columns)), rows, false);
            const Tensor out = bench.space(rows * outputs);
            bench->matmul(bench.put(x), matrix, rows, out);
            return bench.floats(out, rows * outputs);
          }};
}

Case experts_case(Draws& draws, DType gate_up_type, DType down_type) {
  ModelSpec spec = small_spec(draws.of(256, 2816));
  spec.experts = draws.of(6, 128);
  spec.experts_used = draws.of(2, 8);
  spec.expert_intermediate = draws.of(64, 704);
  const int rows = draws.of(7, 48), used = spec.experts_used;
  const int64_t hidden = spec.hidden, inner = spec.expert_intermediate;
  const auto x = draws.floats(rows * hidden), weight = draws.floats(rows * used, 0.5f);
  const DrawnMatrix gate_up = draws.matrix(gate_up_type, spec.experts, 2 * inner, hidden);
  const DrawnMatrix down = draws.matrix(down_type, spec.experts, hidden, inner);
  std::vector<int32_t> expert;
  for (int t = 0; t < rows; ++t) {
    const int first = draws.within(0, spec.experts - 1), step = draws.within(1, 2);
    for (int k = 0; k < used; ++k) expert.push_back((first + k * step) % spec.experts);
  }
  return {"experts " + std::string(dtype_name(gate_up_type)) + " and " + dtype_name(down_type) +
              ", " + std::to_string(rows) + " rows",
          4 * exact_tolerance(hidden), 3 * kUsual, [=](BackendBench& bench) {
            const Matrix up = gate_up.put(bench), out_of = down.put(bench);
            reserve(bench, spec, rows, false);
            const Tensor out = bench.space(rows * hidden);
            bench->experts({.x = bench.put(x),
                            .gate_up = up,
                            .down = out_of,
                            .used = used,
                            .expert = bench.put(std::span<const int32_t>(expert)),
                            .weight = bench.put(weight),
                            .rows = rows,
                            .out = out});
            return bench.floats(out, rows * hidden);
          }};
}

Segment segment_of(Mode mode, int position, int rows, int row_begin) {
  Segment s;
  s.mode = mode;
  s.position = position;
  s.rows = rows;
  s.row_begin = row_begin;
  s.inverse_temperature = 1.5f;
  s.key = {.seed = 3, .answer = 1, .canvas = 1, .step = 1};
  return s;
}

// qkv of an encoded pass fills the ring; a canvas behind it attends to ring and canvas.
Floats encode_then_attend(BackendBench& bench, const AttentionLayer& layer, int tokens, int rows,
                          uint32_t seed) {
  ModelSpec spec = small_spec(static_cast<int>(layer.q_width()));
  spec.heads = layer.heads;
  spec.layers = {
      {.full = layer.window == 0, .kv_heads = layer.kv_heads, .head_dim = layer.head_dim}};
  const int most = std::max(tokens, rows);
  const int64_t capacity = tokens + rows, kv = layer.kv_width(), q = layer.q_width();
  reserve(bench, spec, most, false);
  const auto stored = [&](int64_t count) {
    return bench->allocate(row_bytes(DType::f16, count * kv));
  };
  const KvLayer ring{stored(capacity), stored(capacity), capacity, DType::f16};
  const KvLayer fresh{stored(most), stored(most), most, DType::f16};
  Floats result;
  for (const bool canvas : {false, true}) {
    const int count = canvas ? rows : tokens;
    const Segment s = canvas ? segment_of(Mode::denoise, tokens, rows, 0)
                             : segment_of(Mode::encode, 0, tokens, 0);
    const Tensor params = bench.put(std::vector<Segment>{s}), out = bench.space(count * q);
    const Tensor queries = bench.put(random_floats(count * q, seed + 1, 0.2f));
    bench->qkv({.params = params,
                .layer = layer,
                .q_norm = bench.put(random_floats(layer.head_dim, seed + 2, 0.2f)),
                .k_norm = bench.put(random_floats(layer.head_dim, seed + 3, 0.2f)),
                .q = queries,
                .k = bench.put(random_floats(count * kv, seed + 4 + canvas)),
                .v = bench.put(random_floats(count * kv, seed + 6 + canvas)),
                .kv = ring,
                .fresh = fresh,
                .rows = count});
    bench->attention({.params = params,
                      .layer = layer,
                      .q = queries,
                      .kv = ring,
                      .fresh = fresh,
                      .rows = count,
                      .out = out});
    const Floats some = bench.floats(out, count * q);
    result.insert(result.end(), some.begin(), some.end());
  }
  return result;
}

// K and V are rounded to f16 alike but for ties, and P in fast attention is too.
Case attention_case(Draws& draws, bool full) {
  const int head_dim = draws.of(full ? 32 : 16, full ? 512 : 256);
  const AttentionLayer layer{draws.of(4, 16),
                             draws.of(full ? 1 : 2, full ? 2 : 8),
                             head_dim,
                             full ? 0 : draws.of(24, 64),
                             full ? head_dim / 8 : head_dim / 2,
                             1e4f,
                             1e-6f};
  const int tokens = draws.of(30, 90) + draws.within(0, 30), rows = draws.rows();
  const uint32_t seed = draws.seed();
  return {std::string(full ? "full" : "sliding") + " attention, " + std::to_string(tokens) +
              " tokens and " + std::to_string(rows) + " rows",
          0x1p-10, kUsual, [=](BackendBench& bench) {
            return encode_then_attend(bench, layer, tokens, rows, seed);
          }};
}

// Entropies, and soft embeddings; a candidate may be another one where two are as likely.
Case vocabulary_case(Draws& draws, DType type) {
  ModelSpec spec = small_spec(draws.of(256, 2816));
  spec.vocab = draws.of(300, 8192 + 1000) + draws.within(0, 99);
  const int rows = draws.of(5, 24);
  const auto h = draws.floats(rows * spec.hidden, 3);
  const DrawnMatrix table = draws.matrix(type, 1, spec.vocab, spec.hidden);
  return {"vocabulary of " + std::to_string(spec.vocab) + " in " + dtype_name(type),
          16 * exact_tolerance(spec.hidden), 2 * kUsual, [=](BackendBench& bench) {
            const Matrix matrix = table.put(bench, Care::raw);
            reserve(bench, spec, rows, true);
            const std::vector<Segment> segments = {segment_of(Mode::denoise, 9, rows, 0)};
            const Tensor candidates = bench->allocate(rows * sizeof(RowCandidate));
            const Tensor soft = bench.space(int64_t{rows} * spec.hidden);
            bench->vocab_attention({.params = bench.put(segments),
                                    .h = bench.put(h),
                                    .table = matrix,
                                    .softcap = 30,
                                    .soft_scale = 53,
                                    .rows = rows,
                                    .candidates = candidates,
                                    .soft = soft,
                                    .ids_summed = {},
                                    .tap = nullptr});
            Floats result = bench.floats(soft, int64_t{rows} * spec.hidden);
            for (const RowCandidate& row : bench.read<RowCandidate>(candidates, rows))
              result.push_back(row.entropy);
            return result;
          }};
}

// Norms, gates, sums, ids looked up, and both ways of a hop, one behind the other.
Case rows_case(Draws& draws) {
  const int rows = draws.rows();
  const int64_t n = draws.of(64, 2816);
  const auto x = draws.floats(rows * n), other = draws.floats(rows * n), weight = draws.floats(n);
  const DrawnMatrix table = draws.matrix(DType::q8_0, 1, 500, n);
  std::vector<int32_t> ids;
  for (int t = 0; t < rows; ++t) ids.push_back(draws.within(0, 499));
  return {"norms, gates and hops, " + std::to_string(rows) + " rows", 0x1p-16, 0x1p-16,
          [=](BackendBench& bench) {
            ModelSpec spec = small_spec(static_cast<int>(n));
            const Matrix matrix = table.put(bench, Care::raw);
            reserve(bench, spec, rows, true);
            const std::vector<Segment> segments = {segment_of(Mode::denoise, 9, rows, 0)};
            const Tensor params = bench.put(segments), w = bench.put(weight);
            const Tensor a = bench.put(x), b = bench.put(other), c = bench.space(rows * n);
            const Tensor d = bench.space(rows * n), e = bench.space(rows * n);
            bench->rms_norm(a, w, 1e-6f, rows, n, c);
            bench->gelu_mul(c, b, rows, n, c);
            bench->embed(bench.put(std::span<const int32_t>(ids)), matrix, 53, rows, d);
            bench->canvas_input(
                {.params = params, .x = d, .s = c, .eps = 1e-6f, .rows = rows, .n = n, .out = e});
            bench->add_norm({.params = params,
                             .x = e,
                             .a = {a, w},
                             .b = {b, {}},
                             .weight = w,
                             .scale = {},
                             .rows = rows,
                             .n = n,
                             .out = d});
            std::vector<float> wire(static_cast<size_t>(rows * n));
            bench->pack(d, DType::f32, rows, n, wire.data());
            bench->wait();
            bench->unpack(wire.data(), DType::f32, rows, n, c);
            return bench.floats(c, rows * n);
          }};
}

std::vector<Case> draw_cases(Draws& draws, bool quick) {
  std::vector<Case> cases;
  for (const DType type : kTypes) cases.push_back(matmul_case(draws, type));
  cases.push_back(rows_case(draws));
  for (const bool full : {false, true}) cases.push_back(attention_case(draws, full));
  cases.push_back(experts_case(draws, DType::q8_0, DType::q8_0));
  cases.push_back(experts_case(draws, DType::q4_k, DType::q5_0));
  cases.push_back(experts_case(draws, DType::iq2_s, DType::iq4_nl));
  cases.push_back(vocabulary_case(draws, DType::q6_k));
  if (quick) return cases;
  cases.push_back(experts_case(draws, DType::bf16, DType::bf16));
  cases.push_back(vocabulary_case(draws, DType::q8_0));
  return cases;
}

// The root mean square of the difference over that of what was expected; infinite for a NaN.
double off_by(const Floats& expected, const Floats& found) {
  double difference = 0, size = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const double d = static_cast<double>(found[i]) - expected[i];
    difference += d * d;
    size += static_cast<double>(expected[i]) * expected[i];
  }
  return std::isfinite(difference) ? std::sqrt(difference / std::max(size, 1e-30)) : INFINITY;
}

void check_case(Check& check, const Case& each, BackendBench& cpu) {
  const Floats expected = each.run(cpu);
  Values values;
  for (const Precision precision : {Precision::exact, Precision::fast}) {
    const bool exact = precision == Precision::exact;
    BackendBench card({"card", [&] { return make_card_backend(check, precision); }, false});
    const double off = off_by(expected, each.run(card));
    const double most = exact ? each.exact : each.fast;
    values.push_back({exact ? "exact" : "fast", off});
    values.push_back({exact ? "of_at_most" : "fast_at_most", most});
    if (!(off <= most))
      check.report.fail("shapes", each.name + ": " + (exact ? "exact" : "fast") +
                                      " products are off by " + std::to_string(off) +
                                      " of their size, at most " + std::to_string(most));
  }
  check.report.add("shapes", each.name, values);
}

}  // namespace

void check_shapes(Check& check) {
  Draws draws(check.options.seed, check.tiny());
  for (const Case& each : draw_cases(draws, check.options.quick || check.tiny())) {
    if (!check.has_time("shapes", each.name)) return;
    BackendBench cpu({"cpu", [] { return std::make_unique<CpuBackend>(0); }});
    check_case(check, each, cpu);
  }
}

}  // namespace potluck
