// The operations that a step's time goes to, one by one in the released model's shape, in each way
// that a backend can run them: in f32 and fast, by stored type, by chunks of the vocabulary, behind
// more and more tokens.
#include <algorithm>
#include <functional>
#include <set>
#include <string>

#include "backends/gpu/gpu_backend.h"
#include "tests/contract/backend/backend_bench.h"
#include "tests/gpu_check/check.h"
#include "tests/gpu_check/drawn_weights.h"
#include "tests/gpu_check/step.h"
#include "tests/gpu_check/timed_driver.h"

namespace potluck {
namespace {

// An operation on a card, on whose kernels alone the time is taken.
class OperationBench final {
 public:
  OperationBench(Check& check, GpuOptions options)
      : check_(check),
        driver_(new TimedDriver(check.driver)),
        bench_({"card", [&] {
                  options.name = check.device;
                  options.use_graphs = false;
                  options.put_blocks = put_drawn(check.driver);
                  return std::make_unique<GpuBackend>(std::unique_ptr<GpuDriver>(driver_), options);
                }}) {}

  BackendBench& bench() { return bench_; }

  void draw(const Drawn& what, Tensor to) {
    bench_->wait();
    const GpuStream stream = check_.driver->make_stream();
    draw_on_card(*check_.driver, stream, what, 0, to.bytes, to.data);
    check_.driver->wait(stream);
    check_.driver->free_stream(stream);
  }

  // The mean of some runs after one that is not counted.
  double seconds_of(const std::function<void()>& operation) {
    operation();
    bench_->wait();
    driver_->take();
    const int runs = check_.tiny() ? 1 : check_.options.quick ? 3 : 10;
    for (int i = 0; i < runs; ++i) operation();
    bench_->wait();
    double sum = 0;
    for (const KernelTime& time : driver_->take()) sum += time.seconds;
    return sum / runs;
  }

  void report(const std::string& name, double seconds, double bytes, double operations) {
    const Roof& roof = roof_of(check_);
    check_.report.add("variants", name,
                      {{"ms", seconds * 1e3},
                       {"gb", bytes * 1e-9},
                       {"gflop", operations * 1e-9},
                       {"of_read", bytes / seconds / roof.read},
                       {"of_f16", operations / seconds / roof.f16},
                       {"of_s8", operations / seconds / roof.s8}});
  }

 private:
  Check& check_;
  TimedDriver* driver_;  // the backend's
  BackendBench bench_;
};

std::string name_of(Precision precision) {
  return precision == Precision::exact ? "f32" : "fast";
}

ModelSpec real_spec(const Check& check) {
  ModelSpec spec = small_spec(check.tiny() ? 256 : 2816);
  spec.intermediate = check.tiny() ? 64 : 2112;
  spec.expert_intermediate = check.tiny() ? 64 : 704;
  spec.experts = check.tiny() ? 8 : 128;
  spec.experts_used = check.tiny() ? 2 : 8;
  spec.heads = check.tiny() ? 4 : 16;
  spec.vocab = check.tiny() ? 700 : 262144;
  spec.canvas = check.tiny() ? 16 : 256;
  return spec;
}

Matrix put_drawn(BackendBench& bench, DType type, int64_t count, int64_t rows, int64_t columns) {
  const uint64_t bytes = row_bytes(type, columns) * static_cast<uint64_t>(count * rows);
  return bench->load_matrix(drawn_on_card({type, columns, 5}, bytes), type, count, rows, columns,
                            Care::usual);
}

struct ExpertTypes {
  DType gate_up, down;
};

struct ExpertWay {
  const char* name;
  Precision precision;
  bool int8;
};
constexpr ExpertWay kExpertWays[] = {{"int8", Precision::fast, true},
                                     {"f16", Precision::fast, false},
                                     {"f32", Precision::exact, false}};

void time_experts(Check& check, ExpertTypes types, const ExpertWay& way, Routing routing) {
  OperationBench own(check, {.precision = way.precision, .int8_experts = way.int8});
  BackendBench& bench = own.bench();
  const ModelSpec spec = real_spec(check);
  const int64_t inner = spec.expert_intermediate, hidden = spec.hidden, rows = spec.canvas;
  const Matrix gate_up = put_drawn(bench, types.gate_up, spec.experts, 2 * inner, hidden);
  const Matrix down = put_drawn(bench, types.down, spec.experts, hidden, inner);
  bench->reserve({.spec = &spec, .rows = spec.canvas, .keys = spec.canvas});
  const std::vector<int32_t> chosen = expert_choices(spec, spec.canvas, routing, 5);
  const Experts op{.x = bench.put(random_floats(rows * hidden, 5)),
                   .gate_up = gate_up,
                   .down = down,
                   .used = spec.experts_used,
                   .expert = bench.put(std::span<const int32_t>(chosen)),
                   .weight = bench.put(random_floats(std::ssize(chosen), 6)),
                   .rows = spec.canvas,
                   .out = bench.space(rows * hidden)};
  const double seconds = own.seconds_of([&] { bench->experts(op); });
  const auto hit = static_cast<double>(std::set(chosen.begin(), chosen.end()).size());
  const double each =
      2.0 * inner * row_bytes(types.gate_up, hidden) + 1.0 * hidden * row_bytes(types.down, inner);
  own.report("experts " + std::string(dtype_name(types.gate_up)) + "+" + dtype_name(types.down) +
                 " " + way.name + (routing == Routing::zipf ? " zipf" : ""),
             seconds, hit * each, 6.0 * inner * hidden * std::ssize(chosen));
}

void time_dense(Check& check, DType type, Precision precision) {
  OperationBench own(check, {.precision = precision});
  BackendBench& bench = own.bench();
  const ModelSpec spec = real_spec(check);
  const int64_t columns = spec.hidden, outputs = check.tiny() ? 64 : 4096, rows = spec.canvas;
  const Matrix w = put_drawn(bench, type, 1, outputs, columns);
  bench->reserve({.spec = &spec, .rows = spec.canvas, .keys = spec.canvas});
  const Tensor x = bench.put(random_floats(rows * columns, 5)), out = bench.space(rows * outputs);
  const double seconds = own.seconds_of([&] { bench->matmul(x, w, spec.canvas, out); });
  own.report("dense " + std::string(dtype_name(type)) + " " + name_of(precision), seconds,
             1.0 * outputs * row_bytes(type, columns), 2.0 * rows * outputs * columns);
}

void time_vocabulary(Check& check, DType type, int64_t chunk_ids) {
  OperationBench own(check, {.precision = Precision::fast, .chunk_ids = chunk_ids});
  BackendBench& bench = own.bench();
  const ModelSpec spec = real_spec(check);
  const int64_t rows = spec.canvas, hidden = spec.hidden;
  const Matrix table = put_drawn(bench, type, 1, spec.vocab, hidden);
  bench->reserve({.spec = &spec, .rows = spec.canvas, .keys = 0, .head = true});
  Segment s;
  s.mode = Mode::denoise;
  s.rows = spec.canvas;
  const VocabAttention op{.params = bench.put(std::vector<Segment>{s}),
                          .h = bench.put(random_floats(rows * hidden, 5)),
                          .table = table,
                          .softcap = 30,
                          .soft_scale = 53,
                          .rows = spec.canvas,
                          .candidates = bench->allocate(rows * sizeof(RowCandidate)),
                          .soft = bench.space(rows * hidden),
                          .ids_summed = {},
                          .tap = nullptr};
  const double seconds = own.seconds_of([&] { bench->vocab_attention(op); });
  own.report("vocabulary " + std::string(dtype_name(type)) + " by " + std::to_string(chunk_ids),
             seconds, 1.0 * spec.vocab * row_bytes(type, hidden), 4.0 * rows * spec.vocab * hidden);
}

void time_attention(Check& check, bool full, int tokens) {
  OperationBench own(check, {.precision = Precision::fast});
  BackendBench& bench = own.bench();
  const ModelSpec spec = real_spec(check);
  const int head_dim = check.tiny() ? 16 : full ? 512 : 256, kv_heads = full ? 2 : spec.heads / 2;
  const int window = full ? 0 : check.tiny() ? 24 : 1024;
  const AttentionLayer layer{spec.heads, kv_heads, head_dim, window, head_dim / 2, 1e4f, 1e-6f};
  const int64_t kv = layer.kv_width(), capacity = std::max(tokens, 1), rows = spec.canvas;
  const auto drawn = [&](int64_t count) {
    const Tensor tensor = bench->allocate(row_bytes(DType::f16, count * kv));
    own.draw({DType::f16, 3, 5}, tensor);
    return tensor;
  };
  bench->reserve({.spec = &spec, .rows = spec.canvas, .keys = capacity + rows});
  Segment s;
  s.mode = Mode::denoise;
  s.position = tokens;
  s.rows = spec.canvas;
  const Attention op{.params = bench.put(std::vector<Segment>{s}),
                     .layer = layer,
                     .q = bench.put(random_floats(rows * layer.q_width(), 5, 0.1f)),
                     .kv = {drawn(capacity), drawn(capacity), capacity, DType::f16},
                     .fresh = {drawn(rows), drawn(rows), rows, DType::f16},
                     .rows = spec.canvas,
                     .out = bench.space(rows * layer.q_width())};
  const double seconds = own.seconds_of([&] { bench->attention(op); });
  const double keys = static_cast<double>(window ? std::min(tokens, window - 1) : tokens) + rows;
  own.report(std::string(full ? "full" : "sliding") + " attention behind " + std::to_string(tokens),
             seconds, 2 * keys * row_bytes(DType::f16, kv), 4 * keys * rows * layer.q_width());
}

}  // namespace

// Those that decide what comes next are first.
void bench_variants(Check& check) {
  const bool few = check.options.quick || check.tiny();
  const auto in_time = [&](const char* what) { return check.has_time("variants", what); };
  const ExpertTypes types[] = {{DType::q8_0, DType::q8_0},
                               {DType::q4_k, DType::q5_0},
                               {DType::q4_k, DType::q8_0},
                               {DType::iq2_s, DType::iq4_nl}};
  for (const ExpertTypes& each : types)
    for (const ExpertWay& way : kExpertWays) {
      if (!in_time("experts")) return;
      time_experts(check, each, way, Routing::uniform);
      if (!few) time_experts(check, each, way, Routing::zipf);
    }
  for (const DType type : {DType::q8_0, DType::q4_k, DType::q6_k, DType::f16})
    for (const Precision precision : {Precision::fast, Precision::exact}) {
      if (!in_time("dense products")) return;
      time_dense(check, type, precision);
    }
  for (const int64_t chunk : {4096, 8192, 16384}) {
    if (!in_time("the vocabulary")) return;
    time_vocabulary(check, DType::q8_0, chunk);
    if (!few) time_vocabulary(check, DType::q6_k, chunk);
  }
  for (const bool full : {false, true})
    for (const int tokens : {0, 2048, 32768}) {
      if (few && tokens > 2048) continue;
      if (!in_time("attention")) return;
      time_attention(check, full, check.tiny() ? tokens / 64 : tokens);
    }
}

}  // namespace potluck
