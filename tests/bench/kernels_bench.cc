// Each kernel at the released model's shapes: GFLOP/s (or GB/s), and its share of a peak measured
// in the same run, which is the packed product of its own family on a panel in cache.
//
// Kernels run on one thread and are timed by its CPU time, so that figures hold on a machine that
// others use.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kernels/cpu/fast/attention.h"
#include "kernels/cpu/fast/experts.h"
#include "kernels/cpu/fast/gelu.h"
#include "kernels/cpu/fast/matmul.h"
#include "kernels/cpu/fast/route.h"
#include "kernels/cpu/fast/vocab_attention.h"
#include "kernels/cpu/machine/pages.h"
#include "kernels/cpu/packed/available.h"
#include "kernels/cpu/fast/peaks.h"
#include "kernels/cpu/reference/dequantize.h"
#include "kernels/cpu/reference/gelu.h"
#include "kernels/cpu/reference/matmul.h"
#include "kernels/cpu/reference/rms_norm.h"
#include "kernels/cpu/reference/rope.h"
#include "kernels/cpu/reference/route.h"
#include "kernels/cpu/reference/weight_view.h"

namespace potluck::cpu {
namespace {

constexpr int64_t kHidden = 2816;
constexpr int64_t kCanvas = 256;

Isa chosen_isa = best_isa();

struct Aligned {
  explicit Aligned(size_t bytes) : data(std::aligned_alloc(64, (bytes + 63) / 64 * 64)) {}
  ~Aligned() { std::free(data); }
  Aligned(const Aligned&) = delete;
  std::byte* bytes() const { return static_cast<std::byte*>(data); }
  void* data;
};

std::vector<float> random_floats(int64_t n) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<size_t>(n));
  for (float& v : values) v = normal(random);
  return values;
}

// Any bytes are blocks; small scales keep the sums finite.
std::vector<std::byte> random_blocks(DType type, int64_t values) {
  std::mt19937 random(2);
  std::vector<std::byte> bytes(row_bytes(type, values));
  for (std::byte& b : bytes) b = static_cast<std::byte>(random() & 0x1f);
  return bytes;
}

double peak_of(DType type, Use use) {
  ThreadPool pool(1);
  return product_peak({chosen_isa, type, use}, pool);
}

// Reports `operations` an iteration, beside the peak of their product.
void report(benchmark::State& state, double operations, DType type, Use use) {
  const double peak = peak_of(type, use);
  state.counters["GFLOP/s"] =
      benchmark::Counter(operations * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
  state.counters["peak"] = peak * 1e-9;
  state.counters["share"] =
      benchmark::Counter(operations / peak, benchmark::Counter::kIsIterationInvariantRate);
}

void matmul_of(benchmark::State& state, DType type, Use use) {
  const int64_t rows = state.range(0), outputs = kHidden;
  const PackedProduct& product = packed_product(chosen_isa, type, use);
  const auto blocks = random_blocks(type, outputs * kHidden);
  const auto x = random_floats(rows * kHidden);
  std::vector<float> out(static_cast<size_t>(rows * outputs));
  Aligned scratch(fast_matmul_scratch(product, kHidden, rows, 1));
  ThreadPool pool(1);
  for (auto _ : state)
    fast_matmul(product, {x.data(), rows, {type, blocks.data(), outputs, kHidden}, out.data()},
                scratch.data, pool);
  report(state, 2.0 * static_cast<double>(rows * outputs * kHidden), type, use);
}

void reference_matmul(benchmark::State& state) {
  const int64_t rows = state.range(0);
  const auto blocks = random_blocks(DType::q8_0, kHidden * kHidden);
  const auto x = random_floats(rows * kHidden);
  std::vector<float> out(x.size()), scratch(matmul_scratch(kHidden));
  ThreadPool pool(1);
  for (auto _ : state)
    matmul({x.data(), kHidden}, rows, {DType::q8_0, blocks.data(), kHidden, kHidden},
           {out.data(), kHidden}, scratch.data(), pool);
  state.counters["GFLOP/s"] =
      benchmark::Counter(2e-9 * static_cast<double>(rows * kHidden * kHidden),
                         benchmark::Counter::kIsIterationInvariantRate);
}

// Experts' stored panels, where the product has them, in the place of their blocks.
struct Panels {
  Panels(const WeightView& w, int64_t count)
      : product(packed_product(chosen_isa, w.type, Use::few)),
        experts(count),
        pages(product.store_panel ? store_bytes(product, w, count) : 0) {}

  bool store(WeightView& w) const {
    if (!product.store_panel) return false;
    ThreadPool pool(1);
    store_panels(product, w, experts, pages.data(), pool);
    w.blocks = pages.data();
    return true;
  }

  const PackedProduct& product;
  int64_t experts;
  Pages pages;
};

// A layer's gate and up to stored panels, as when a model loads; `fresh`: on pages that nothing has
// touched, which the system then zeroes.
void store_of(benchmark::State& state, DType type, bool fresh) {
  constexpr int64_t kExperts = 16, kOutputs = 2 * 704;
  const auto blocks = random_blocks(type, kExperts * kOutputs * kHidden);
  const WeightView w{type, blocks.data(), kExperts * kOutputs, kHidden};
  Panels panels(w, kExperts);
  if (!panels.product.store_panel) return state.SkipWithError("no stored panels");
  ThreadPool pool(1);
  for (auto _ : state) {
    if (fresh) panels.pages = Pages(panels.pages.bytes());
    store_panels(panels.product, w, kExperts, panels.pages.data(), pool);
  }
  state.counters["GB/s"] = benchmark::Counter(static_cast<double>(blocks.size()) * 1e-9,
                                              benchmark::Counter::kIsIterationInvariantRate);
}

void touch_of(benchmark::State& state) {
  constexpr size_t kBytes = 64 << 20;
  ThreadPool pool(1);
  for (auto _ : state) Pages(kBytes).touch(pool);
  state.counters["GB/s"] = benchmark::Counter(static_cast<double>(kBytes) * 1e-9,
                                              benchmark::Counter::kIsIterationInvariantRate);
}

// 256 rows of top 8 over 128 experts: 16 rows each.
void experts_of(benchmark::State& state, DType type) {
  constexpr int kExperts = 128, kUsed = 8;
  constexpr int64_t kInner = 704;
  const auto gate_up = random_blocks(type, kExperts * 2 * kInner * kHidden);
  const DType down_type = kInner % block_shape(type).values == 0 ? type : DType::q5_0;
  const auto down = random_blocks(down_type, kExperts * kHidden * kInner);
  ExpertsView view{{type, gate_up.data(), kExperts * 2 * kInner, kHidden},
                   {down_type, down.data(), kExperts * kHidden, kInner},
                   kExperts,
                   kUsed,
                   kInner,
                   kHidden};
  const Panels gate_up_panels(view.gate_up, kExperts), down_panels(view.down, kExperts);
  const auto x = random_floats(kCanvas * kHidden);
  std::vector<int32_t> expert;
  for (int32_t slot = 0; slot < kCanvas * kUsed; ++slot)
    expert.push_back((slot * 37 + slot / 8) % kExperts);
  const std::vector<float> weight(expert.size(), 0.125f);
  std::vector<float> out(x.size());
  const StoredPanels stored{gate_up_panels.store(view.gate_up), down_panels.store(view.down)};
  Aligned scratch(fast_experts_scratch(chosen_isa, view, kCanvas, 1));
  ThreadPool pool(1);
  for (auto _ : state)
    fast_experts({chosen_isa, view, stored}, {x.data(), kCanvas, expert.data(), weight.data()},
                 out.data(), scratch.data, pool);
  report(state, 6.0 * kCanvas * kUsed * kInner * kHidden, type, Use::few);
  state.counters["GB/s"] =
      benchmark::Counter(static_cast<double>(gate_up.size() + down.size()) * 1e-9,
                         benchmark::Counter::kIsIterationInvariantRate);
}

// A canvas behind a prompt of 2,000 tokens.
void attention_of(benchmark::State& state, const AttentionShape& shape) {
  constexpr int64_t kCached = 2000;
  const int64_t width = static_cast<int64_t>(shape.kv_heads) * shape.head_dim;
  const int64_t q_width = static_cast<int64_t>(shape.heads) * shape.head_dim;
  std::vector<uint16_t> k(static_cast<size_t>(kCached * width), 0x3c00), v(k);
  const auto q = random_floats(kCanvas * q_width);
  std::vector<float> out(q.size());
  AttentionSegment segment{
      true,     kCached,   kCanvas, {k.data(), v.data(), kCached}, {k.data(), v.data(), kCanvas},
      q.data(), out.data()};
  Aligned scratch(fast_attention_scratch(chosen_isa, shape));
  ThreadPool pool(1);
  for (auto _ : state) fast_attention(chosen_isa, shape, segment, scratch.data, pool);
  const int64_t keys = kCanvas + (shape.window ? shape.window - 1 : kCached);
  report(state, 4.0 * static_cast<double>(kCanvas * q_width * keys), DType::bf16, Use::many);
}

// 8,192 rows of E of a canvas that is not sure of anything: no row is left out.
void vocab_of(benchmark::State& state, DType type) {
  constexpr int64_t kVocab = 8192;
  const auto table = random_blocks(type, kVocab * kHidden);
  const std::vector<float> h(static_cast<size_t>(kCanvas * kHidden), 1e-3f),
      inverse(kCanvas, 1.25f);
  const std::vector<StepKey> noise(kCanvas);
  const std::vector<int32_t> position(kCanvas);
  std::vector<VocabPartial> partial(kCanvas);
  std::vector<float> soft(h.size());
  VocabRequest request;
  request.h = h.data();
  request.rows = kCanvas;
  request.hidden = kHidden;
  request.table = {type, table.data(), kVocab, kHidden};
  request.inverse_temperature = inverse.data();
  request.noise = noise.data();
  request.position = position.data();
  Aligned scratch(fast_vocab_scratch(chosen_isa, type, kCanvas, kHidden, 1));
  ThreadPool pool(1);
  int64_t read = 0;
  for (auto _ : state)
    read =
        fast_vocab_attention(chosen_isa, request, partial.data(), soft.data(), scratch.data, pool);
  const double each = 2.0 * static_cast<double>(kCanvas * kVocab * kHidden);
  const double seconds_at_peak =
      each / peak_of(type, Use::many) + each / peak_of(DType::bf16, Use::many);
  state.counters["GFLOP/s"] =
      benchmark::Counter(2e-9 * each, benchmark::Counter::kIsIterationInvariantRate);
  state.counters["share"] =
      benchmark::Counter(seconds_at_peak, benchmark::Counter::kIsIterationInvariantRate);
  state.counters["rows of E summed"] = static_cast<double>(read);
}

void rms_norm_of(benchmark::State& state) {
  const auto x = random_floats(kCanvas * kHidden), weight = random_floats(kHidden);
  std::vector<float> out(x.size());
  ThreadPool pool(1);
  for (auto _ : state)
    rms_norm({x.data(), weight.data(), 1e-6f}, kCanvas, kHidden, out.data(), pool);
  state.counters["GB/s"] = benchmark::Counter(static_cast<double>(x.size()) * 8e-9,
                                              benchmark::Counter::kIsIterationInvariantRate);
}

void rope_of(benchmark::State& state) {
  auto x = random_floats(kCanvas * 16 * 256);
  float frequency[128], sine[128], cosine[128];
  rope_frequencies(256, 128, 1e4f, frequency);
  for (auto _ : state)
    for (int32_t t = 0; t < kCanvas; ++t) {
      rope_angles(t, frequency, 128, sine, cosine);
      rope_row(x.data() + t * 16 * 256, sine, cosine, 16, 256, 128);
    }
}

void gelu_of(benchmark::State& state, bool fast) {
  const auto gate = random_floats(kCanvas * 2112), up = gate;
  std::vector<float> out(gate.size());
  for (auto _ : state)
    for (size_t first = 0; first < gate.size(); first += 2112)
      (fast ? fast_gelu_mul_row : gelu_mul_row)(gate.data() + first, up.data() + first, 2112,
                                                out.data() + first);
}

void route_of(benchmark::State& state, bool fast) {
  constexpr int kExperts = 128;
  const auto x = random_floats(kCanvas * kHidden), w = random_floats(kExperts * kHidden);
  const std::vector<float> scale(kHidden, 1.0f), each(kExperts, 1.0f);
  const RouterView router{
      scale.data(), {DType::f32, w.data(), kExperts, kHidden}, each.data(), 1e-6f, 8};
  std::vector<int32_t> expert(kCanvas * 8);
  std::vector<float> weight(kCanvas * 8);
  Aligned scratch(route_scratch(kCanvas, kHidden, kExperts, 1) * sizeof(float));
  ThreadPool pool(1);
  for (auto _ : state)
    (fast ? fast_route : route)({x.data(), kCanvas, expert.data(), weight.data()}, router,
                                static_cast<float*>(scratch.data), pool);
}

BENCHMARK_CAPTURE(matmul_of, q8_0, DType::q8_0, Use::many)->Arg(256)->Arg(16);
BENCHMARK_CAPTURE(matmul_of, q8_0_fine, DType::q8_0, Use::fine)->Arg(256);
BENCHMARK_CAPTURE(matmul_of, q8_0_finest, DType::q8_0, Use::finest)->Arg(256)->Arg(16);
BENCHMARK_CAPTURE(matmul_of, q4_k_finest, DType::q4_k, Use::finest)->Arg(256)->Arg(16);
BENCHMARK_CAPTURE(matmul_of, q4_k, DType::q4_k, Use::many)->Arg(256)->Arg(16);
BENCHMARK_CAPTURE(matmul_of, q5_k, DType::q5_k, Use::many)->Arg(256);
BENCHMARK_CAPTURE(matmul_of, q6_k, DType::q6_k, Use::many)->Arg(256);
BENCHMARK_CAPTURE(matmul_of, q5_0, DType::q5_0, Use::many)->Arg(256);
BENCHMARK_CAPTURE(matmul_of, q5_1, DType::q5_1, Use::many)->Arg(256);
BENCHMARK_CAPTURE(matmul_of, q4_0, DType::q4_0, Use::many)->Arg(256);
BENCHMARK_CAPTURE(matmul_of, bf16, DType::bf16, Use::many)->Arg(256);
BENCHMARK_CAPTURE(matmul_of, f16, DType::f16, Use::many)->Arg(256);
BENCHMARK(reference_matmul)->Arg(256);
BENCHMARK(touch_of)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(store_of, q8_0, DType::q8_0, false)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(store_of, q8_0_fresh, DType::q8_0, true)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(store_of, q4_k, DType::q4_k, false)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(store_of, q4_k_fresh, DType::q4_k, true)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(store_of, q5_0, DType::q5_0, false)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(store_of, q6_k, DType::q6_k, false)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(experts_of, q8_0, DType::q8_0)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(experts_of, q4_k, DType::q4_k)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(attention_of, sliding, AttentionShape{16, 8, 256, 1024, DType::bf16})
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(attention_of, full, AttentionShape{16, 2, 512, 0, DType::bf16})
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(vocab_of, q8_0, DType::q8_0)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(vocab_of, q6_k, DType::q6_k)->Unit(benchmark::kMillisecond);
BENCHMARK(rms_norm_of);
BENCHMARK(rope_of);
BENCHMARK_CAPTURE(gelu_of, reference, false);
BENCHMARK_CAPTURE(gelu_of, fast, true);
BENCHMARK_CAPTURE(route_of, reference, false);
BENCHMARK_CAPTURE(route_of, fast, true);

}  // namespace
}  // namespace potluck::cpu

// kernels_bench [--isa=NAME] [--benchmark_…]
int main(int argc, char** argv) {
  using potluck::cpu::chosen_isa;
  benchmark::Initialize(&argc, argv);
  for (int i = 1; i < argc; ++i)
    if (const std::string flag = argv[i]; flag.rfind("--isa=", 0) == 0)
      chosen_isa = potluck::cpu::isa_from_name(flag.substr(6)).value_or(chosen_isa);
  benchmark::AddCustomContext("isa", potluck::cpu::isa_name(chosen_isa));
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
