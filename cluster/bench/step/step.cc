// Loads head and stages, times encodes and steps, and sets each part beside this machine's peaks.
#include "cluster/bench/step/step.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/cpu_options.h"
#include "cluster/bench/step/canvases.h"
#include "cluster/cli/statistics.h"
#include "cluster/ring/ring_plan.h"
#include "topology/base/clock.h"
#include "topology/base/fault.h"
#include "topology/plan/cost_model.h"

namespace potluck {
namespace {

constexpr uint64_t kReadBytes = uint64_t{1} << 30;  // more than the largest caches hold
constexpr uint64_t kCopyBytes = kReadBytes / 2;

Plan plan_of(const ModelSource& source, const StepBenchOptions& options) {
  const int longest = *std::max_element(options.prompts.begin(), options.prompts.end());
  const ModelSpec& spec = source.spec();
  if (longest > spec.context_max - spec.canvas)
    throw Fault(FaultKind::input,
                "--prompt " + std::to_string(longest) +
                    " and a canvas do not fit the model's context; give at most " +
                    std::to_string(spec.context_max - spec.canvas));
  RingOptions ring;
  ring.stages = options.stages;
  ring.ctx_size = longest + spec.canvas;
  ring.precision = options.precision;
  return make_plan(source, ring);
}

// Returns a step itself, the faster of two in the middle, so that its parts add up.
const TimedStep& median_step(std::vector<TimedStep>& steps) {
  std::sort(steps.begin(), steps.end(),
            [](const TimedStep& a, const TimedStep& b) { return a.ms < b.ms; });
  return steps[(steps.size() - 1) / 2];
}

StepRun measure(BenchCanvases& canvases, int prompt, int repetitions, TimedStep& middle) {
  std::vector<double> encodes;
  std::vector<TimedStep> steps;
  for (int i = 0; i < repetitions; ++i) encodes.push_back(canvases.encode(prompt));
  canvases.first_step();
  for (int i = 0; i < repetitions; ++i) steps.push_back(canvases.second_step());
  middle = median_step(steps);
  StepRun run;
  run.prompt = prompt;
  run.encode_tokens_per_s = prompt ? prompt / median(encodes) : 0;
  run.step_ms = middle.ms;
  run.least_ms = steps.front().ms;
  run.most_ms = steps.back().ms;
  return run;
}

// Measures each product that ran, once, in operations a second.
class Peaks {
 public:
  Peaks(const CpuBackend& backend, uint64_t bytes_free)
      : backend_(backend),
        pool_(backend.threads()),
        read_(cpu::read_peak(std::min(kReadBytes, bytes_free / 2), pool_)),
        memory_copy_(cpu::copy_peak(std::min(kCopyBytes, bytes_free / 2), pool_)),
        cache_copy_(cpu::copy_peak(0, pool_)) {}

  double of(const cpu::ProductKind& kind) {
    const auto known = products_.find(kind);
    if (known != products_.end()) return known->second;
    return products_[kind] = cpu::product_peak(kind, pool_);
  }

  PartFigures figures(const PartWork& work) {
    PartFigures f;
    f.ms = work.seconds * 1e3;
    f.bytes = work.stored_bytes + work.memory_bytes + work.cache_bytes;
    double longest = 0;
    for (const auto& [product, operations] : work.operations) {
      const cpu::ProductKind kind = backend_.product_kind(product);
      const double ms = operations / of(kind) * 1e3;
      f.operations += operations;
      f.limit_ms += ms;
      if (ms > longest) f.bound = cpu::product_name(kind);
      longest = std::max(longest, ms);
    }
    const auto raise = [&f](double ms, const char* bound) {
      if (ms > f.limit_ms) f.bound = bound;
      f.limit_ms = std::max(f.limit_ms, ms);
    };
    raise(work.stored_bytes / read_ * 1e3, "memory");
    raise(work.memory_bytes / memory_copy_ * 1e3, "memory copy");
    raise(work.cache_bytes / cache_copy_ * 1e3, "cache copy");
    return f;
  }

  double read_gb_per_s() const { return read_ * 1e-9; }
  double memory_copy_gb_per_s() const { return memory_copy_ * 1e-9; }
  double cache_copy_gb_per_s() const { return cache_copy_ * 1e-9; }
  // One peak for each name: the best where several stored types share it.
  std::vector<Peak> all() const {
    std::map<std::string, double> best;
    for (const auto& [kind, rate] : products_) {
      double& known = best[cpu::product_name(kind)];
      known = std::max(known, rate * 1e-9);
    }
    std::vector<Peak> peaks;
    for (const auto& [name, rate] : best) peaks.push_back({name, rate});
    return peaks;
  }

 private:
  const CpuBackend& backend_;
  cpu::ThreadPool pool_;
  double read_, memory_copy_, cache_copy_;  // bytes a second
  std::map<cpu::ProductKind, double> products_;
};

StepBench described(const ModelSource& source, const CpuBackend& backend) {
  StepBench bench;
  bench.device = backend.info().name;
  bench.isa = cpu::isa_name(backend.isa());
  bench.threads = backend.threads();
  const std::vector<uint64_t> layers = layer_bytes(source);
  bench.weight_bytes = std::accumulate(layers.begin(), layers.end(), head_bytes(source));
  return bench;
}

}  // namespace

double StepRun::rest_ms() const {
  return std::accumulate(parts.begin(), parts.end(), step_ms,
                         [](double left, const PartFigures& part) { return left - part.ms; });
}

double StepRun::limit_ms() const {
  return std::accumulate(parts.begin(), parts.end(), 0.0,
                         [](double sum, const PartFigures& part) { return sum + part.limit_ms; });
}

double StepBench::load_share() const {
  if (panel_bytes == 0) return 0;
  return load_gb_per_s / std::min(load_rates.file_gb_per_s, load_rates.touch_gb_per_s);
}

StepBench bench_step(const ModelSource& source, const StepBenchOptions& options) {
  Plan plan = plan_of(source, options);
  const int chunk = plan.chunk;  // which all canvases in a pass may exceed
  plan.sessions = options.canvases;
  plan.chunk = std::max(chunk, options.canvases * source.spec().canvas);
  CpuBackend below(options.threads, isa_of({.isa = options.isa}, options.precision));
  ProfiledBackend backend(below);
  StepBench bench = described(source, below);
  bench.load_rates = load_rates(source, below.threads(), below.info().bytes_free, options.cold);
  const Time begin = now();
  BenchCanvases canvases(source, plan, chunk, backend);
  bench.load_s = seconds(now() - begin);
  bench.panel_bytes = below.reserved().panels;
  const Time loaded = now();
  canvases.first_step();
  bench.first_step_ms = milliseconds(now() - loaded);
  std::vector<TimedStep> steps(options.prompts.size());
  for (size_t i = 0; i < steps.size(); ++i)
    bench.runs.push_back(measure(canvases, options.prompts[i], options.repetitions, steps[i]));
  const double beyond_ms = std::max(0.0, bench.first_step_ms - bench.runs.front().step_ms);
  bench.load_gb_per_s = bench.weight_bytes * 1e-9 / (bench.load_s + beyond_ms * 1e-3);
  Peaks peaks(below, below.info().bytes_free);
  for (size_t i = 0; i < steps.size(); ++i)
    std::transform(steps[i].work.begin(), steps[i].work.end(), bench.runs[i].parts.begin(),
                   [&](const PartWork& work) { return peaks.figures(work); });
  bench.peaks = peaks.all();
  bench.read_gb_per_s = peaks.read_gb_per_s();
  bench.memory_copy_gb_per_s = peaks.memory_copy_gb_per_s();
  bench.cache_copy_gb_per_s = peaks.cache_copy_gb_per_s();
  return bench;
}

}  // namespace potluck
