// Loads head and stages, times encodes and steps, and sets each part beside the device's peaks.
#include "cluster/bench/step/step.h"

#include <algorithm>
#include <numeric>

#include "cluster/bench/step/canvases.h"
#include "cluster/bench/step/device.h"
#include "cluster/cli/statistics.h"
#include "cluster/ring/ring_plan.h"
#include "topology/base/clock.h"
#include "topology/base/fault.h"
#include "topology/plan/cost_model.h"

namespace potluck {
namespace {

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

std::vector<TimedStep> time_steps(BenchCanvases& canvases, int repetitions, bool profiled) {
  std::vector<TimedStep> steps;
  for (int i = 0; i < repetitions; ++i) steps.push_back(canvases.second_step(profiled));
  return steps;
}

// `middle` becomes the step whose parts the run shows.
StepRun measure(BenchCanvases& canvases, int prompt, int repetitions, bool plain_too,
                TimedStep& middle) {
  std::vector<double> encodes;
  for (int i = 0; i < repetitions; ++i) encodes.push_back(canvases.encode(prompt));
  canvases.first_step();
  std::vector<TimedStep> plain, profiled;
  if (plain_too) plain = time_steps(canvases, repetitions, false);
  profiled = time_steps(canvases, repetitions, true);
  middle = median_step(profiled);
  std::vector<TimedStep>& counted = plain_too ? plain : profiled;
  StepRun run;
  run.prompt = prompt;
  run.encode_tokens_per_s = prompt ? prompt / median(encodes) : 0;
  run.step_ms = median_step(counted).ms;
  run.least_ms = counted.front().ms;
  run.most_ms = counted.back().ms;
  run.profiled_ms = middle.ms;
  return run;
}

StepBench described(const ModelSource& source, const BenchDevice& device) {
  StepBench bench;
  device.describe(bench);
  const std::vector<uint64_t> layers = layer_bytes(source);
  bench.weight_bytes = std::accumulate(layers.begin(), layers.end(), head_bytes(source));
  return bench;
}

}  // namespace

double StepRun::rest_ms() const {
  return std::accumulate(parts.begin(), parts.end(), profiled_ms,
                         [](double left, const PartFigures& part) { return left - part.ms; });
}

double StepRun::limit_ms() const {
  return std::accumulate(parts.begin(), parts.end(), 0.0,
                         [](double sum, const PartFigures& part) { return sum + part.limit_ms; });
}

double StepBench::load_share() const {
  return panel_bytes == 0 ? 0 : load_gb_per_s / load_rates.slower();
}

StepBench bench_step(const ModelSource& source, const StepBenchOptions& options) {
  Plan plan = plan_of(source, options);
  const int chunk = plan.chunk;  // which all canvases in a pass may exceed
  plan.sessions = options.canvases;
  plan.chunk = std::max(chunk, options.canvases * source.spec().canvas);
  const std::unique_ptr<BenchDevice> device = make_bench_device(options);
  ProfiledBackend backend(device->backend(), device->new_stopwatch());
  backend.turn(false);
  StepBench bench = described(source, *device);
  bench.load_rates = device->load_rates(source, options.cold);
  const Time begin = now();
  BenchCanvases canvases(source, plan, chunk, backend);
  bench.load_s = seconds(now() - begin);
  bench.panel_bytes = device->stored_bytes(bench);
  const Time loaded = now();
  canvases.first_step();
  bench.first_step_ms = milliseconds(now() - loaded);
  std::vector<StepWork> steps;
  for (const int prompt : options.prompts) {
    TimedStep middle;
    bench.runs.push_back(
        measure(canvases, prompt, options.repetitions, device->is_slowed_by_marks(), middle));
    steps.push_back(middle.work);
  }
  const double beyond_ms = std::max(0.0, bench.first_step_ms - bench.runs.front().step_ms);
  bench.load_gb_per_s = bench.weight_bytes * 1e-9 / (bench.load_s + beyond_ms * 1e-3);
  device->judge(steps, bench);
  return bench;
}

}  // namespace potluck
