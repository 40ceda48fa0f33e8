#include "cluster/bench_step.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <random>
#include <span>

#include "backends/profiled_backend.h"
#include "cluster/ring_plan.h"
#include "cluster/run_report.h"
#include "cluster/stages_beside.h"
#include "coordinator/canvas.h"
#include "coordinator/sampler.h"
#include "shard/head.h"
#include "topology/clock.h"
#include "topology/cost_model.h"
#include "topology/fault.h"

namespace potluck {
namespace {

constexpr uint64_t kReadBytes = uint64_t{1} << 30;  // more than the largest caches hold
constexpr NoiseKey kNoise{1, 0};

struct Timed {
  double ms = 0;
  StepWork work;
};

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

// The median step itself (of two in the middle the faster), so that its parts add up.
const Timed& median_step(std::vector<Timed>& steps) {
  std::sort(steps.begin(), steps.end(), [](const Timed& a, const Timed& b) { return a.ms < b.ms; });
  return steps[(steps.size() - 1) / 2];
}

// One canvas behind one prompt. Every step that is timed is the canvas' second, from the same ids
// and soft embedding, so all do the same work: self-conditioned, and sure of little.
class Canvas {
 public:
  Canvas(const ModelSource& source, const Plan& plan, ProfiledBackend& backend)
      : spec_(source.spec()),
        plan_(plan),
        backend_(backend),
        head_(source, plan, backend),
        stages_(source, plan, backend),
        sampler_(make_entropy_bound_sampler(spec_.generation)),
        first_(head_.new_soft()),
        second_(head_.new_soft()) {}

  double encode(int tokens) {
    stages_.restart();
    length_ = 0;
    std::mt19937 random(1);
    std::vector<int32_t> ids(static_cast<size_t>(tokens));
    for (int32_t& id : ids)
      id = static_cast<int32_t>(random() % static_cast<uint32_t>(spec_.vocab));
    const Time begin = now();
    while (length_ < tokens) {
      Segment s;
      s.position = length_;
      s.rows = std::min(plan_.chunk, tokens - length_);
      pass(s, std::span(ids).subspan(static_cast<size_t>(length_), static_cast<size_t>(s.rows)),
           {});
      length_ += s.rows;
    }
    backend_.wait();
    return seconds(now() - begin);
  }

  void first_step() {
    sampler_->begin_canvas();
    next_ = step(0, initial_canvas(kNoise, 0, spec_.canvas, spec_.vocab), {}, first_);
  }

  Timed second_step() {
    Timed timed;
    backend_.take();
    const Time begin = now();
    step(1, next_, first_, second_);
    timed.ms = milliseconds(now() - begin);
    timed.work = backend_.take();
    timed.work[static_cast<size_t>(Part::sampling)].seconds = sampling_seconds_;
    return timed;
  }

 private:
  void pass(const Segment& segment, std::span<const int32_t> ids, Tensor soft) {
    head_.embed(std::span(&segment, 1), ids, std::span(&soft, 1));
    stages_.through(segment, head_.workspace().x, nullptr);
  }

  // The ids of the step after.
  std::vector<int32_t> step(int index, const std::vector<int32_t>& ids, Tensor soft, Tensor out) {
    Segment s;
    s.mode = Mode::denoise;
    s.position = length_;
    s.rows = spec_.canvas;
    s.inverse_temperature = static_cast<float>(1.0 / sampler_->temperature(index));
    s.seed = kNoise.seed;
    s.step = static_cast<uint32_t>(index);
    pass(s, ids, soft);
    const std::vector<RowCandidate> rows = head_.answer(std::span(&s, 1), std::span(&out, 1));
    const Time begin = now();
    StepDecision decision = sampler_->decide(
        candidates_of(rows), renoise_ids(kNoise, 0, s.step, spec_.canvas, spec_.vocab));
    sampling_seconds_ = seconds(now() - begin);
    return std::move(decision.next);
  }

  static Candidates candidates_of(const std::vector<RowCandidate>& rows) {
    Candidates c;
    for (const RowCandidate& row : rows) {
      c.argmax.push_back(row.argmax);
      c.sample.push_back(row.sample);
      c.entropy.push_back(row.entropy);
    }
    return c;
  }

  const ModelSpec& spec_;
  const Plan& plan_;
  ProfiledBackend& backend_;
  Head head_;
  StagesBeside stages_;
  std::unique_ptr<Sampler> sampler_;
  Tensor first_, second_;  // soft embeddings after each step
  std::vector<int32_t> next_;
  int length_ = 0;
  double sampling_seconds_ = 0;
};

StepRun measure(Canvas& canvas, int prompt, int repetitions, Timed& middle) {
  std::vector<double> encodes;
  std::vector<Timed> steps;
  for (int i = 0; i < repetitions; ++i) encodes.push_back(canvas.encode(prompt));
  canvas.first_step();
  for (int i = 0; i < repetitions; ++i) steps.push_back(canvas.second_step());
  middle = median_step(steps);
  StepRun run;
  run.prompt = prompt;
  run.encode_tokens_per_s = prompt ? prompt / median(encodes) : 0;
  run.step_ms = middle.ms;
  run.least_ms = steps.front().ms;
  run.most_ms = steps.back().ms;
  return run;
}

// Operations a second by product, each measured once.
class Peaks {
 public:
  Peaks(int threads, uint64_t bytes_free)
      : pool_(threads),
        read_(cpu::read_peak(std::min(kReadBytes, bytes_free / 2), pool_)),
        copy_(cpu::copy_peak(pool_)) {}

  double of(const cpu::ProductKind& kind) {
    const auto known = products_.find(kind);
    if (known != products_.end()) return known->second;
    return products_[kind] = cpu::product_peak(kind, pool_);
  }

  PartFigures figures(const PartWork& work) {
    PartFigures f;
    f.ms = work.seconds * 1e3;
    f.bytes = work.stored_bytes + work.passing_bytes;
    double longest = 0;
    for (const auto& [kind, operations] : work.operations) {
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
    raise(work.passing_bytes / copy_ * 1e3, "cache");
    return f;
  }

  double read_gb_per_s() const { return read_ * 1e-9; }
  double copy_gb_per_s() const { return copy_ * 1e-9; }
  // By name, the best where several stored types share one.
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
  cpu::ThreadPool pool_;
  double read_, copy_;  // bytes a second
  std::map<cpu::ProductKind, double> products_;
};

StepBench described(const ModelSource& source, const CpuBackend& backend) {
  StepBench bench;
  bench.device = backend.info().name;
  bench.isa = cpu::isa_name(backend.isa());
  bench.threads = backend.threads();
  const std::vector<uint64_t> layers = layer_bytes(source);
  bench.weight_bytes =
      static_cast<double>(std::accumulate(layers.begin(), layers.end(), head_bytes(source)));
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

StepBench bench_step(const ModelSource& source, const StepBenchOptions& options) {
  const Plan plan = plan_of(source, options);
  CpuBackend below(options.threads, isa_of({options.threads, options.precision, options.isa}));
  ProfiledBackend backend(below);
  StepBench bench = described(source, below);
  const Time begin = now();
  Canvas canvas(source, plan, backend);
  bench.load_s = seconds(now() - begin);
  const Time loaded = now();
  canvas.first_step();
  bench.first_step_ms = milliseconds(now() - loaded);
  std::vector<Timed> steps(options.prompts.size());
  for (size_t i = 0; i < steps.size(); ++i)
    bench.runs.push_back(measure(canvas, options.prompts[i], options.repetitions, steps[i]));
  const double beyond_ms = std::max(0.0, bench.first_step_ms - bench.runs.front().step_ms);
  bench.load_gb_per_s = bench.weight_bytes * 1e-9 / (bench.load_s + beyond_ms * 1e-3);
  Peaks peaks(below.threads(), below.info().bytes_free);
  for (size_t i = 0; i < steps.size(); ++i)
    std::transform(steps[i].work.begin(), steps[i].work.end(), bench.runs[i].parts.begin(),
                   [&](const PartWork& work) { return peaks.figures(work); });
  bench.peaks = peaks.all();
  bench.read_gb_per_s = peaks.read_gb_per_s();
  bench.copy_gb_per_s = peaks.copy_gb_per_s();
  return bench;
}

}  // namespace potluck
