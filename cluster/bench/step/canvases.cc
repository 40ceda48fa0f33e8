// Runs the canvases of a step bench through head and stages in this process.
#include "cluster/bench/step/canvases.h"

#include <algorithm>
#include <random>

#include "coordinator/canvas.h"
#include "topology/base/clock.h"

namespace potluck {
namespace {

StepKey key_of(int canvas, int step) {
  return {1, static_cast<uint32_t>(canvas), 0, static_cast<uint32_t>(step)};
}

void append(const std::vector<int32_t>& ids, std::vector<int32_t>& to) {
  to.insert(to.end(), ids.begin(), ids.end());
}

}  // namespace

BenchCanvases::BenchCanvases(const ModelSource& source, const Plan& plan, int chunk,
                             ProfiledBackend& backend)
    : spec_(source.spec()),
      chunk_(chunk),
      backend_(backend),
      head_(source, plan, backend),
      stages_(source, plan, backend),
      none_(plan.sessions) {
  for (int i = 0; i < plan.sessions; ++i) {
    samplers_.push_back(make_entropy_bound_sampler(spec_.generation));
    first_.push_back(head_.new_soft());
    second_.push_back(head_.new_soft());
  }
  stages_.fork(count());
}

double BenchCanvases::encode(int tokens) {
  stages_.restart();
  length_ = 0;
  std::mt19937 random(1);
  std::vector<int32_t> ids(tokens);
  for (int32_t& id : ids) id = random() % static_cast<uint32_t>(spec_.vocab);
  const Time begin = now();
  while (length_ < tokens) {
    Segment s;
    s.position = length_;
    s.rows = std::min(chunk_, tokens - length_);
    pass(std::span(&s, 1), std::span(ids).subspan(length_, s.rows), {});
    length_ += s.rows;
  }
  backend_.wait();
  const double taken = seconds(now() - begin);
  stages_.fork(count());
  return taken;
}

void BenchCanvases::first_step() {
  std::vector<int32_t> ids;
  for (int i = 0; i < count(); ++i) {
    samplers_[i]->begin_canvas();
    append(initial_canvas(key_of(i, 0), spec_.canvas, spec_.vocab), ids);
  }
  next_ = step(0, ids, none_, first_);
}

TimedStep BenchCanvases::second_step(bool profiled) {
  TimedStep timed;
  backend_.turn(profiled);
  const Time begin = now();
  step(1, next_, first_, second_);
  timed.ms = milliseconds(now() - begin);
  backend_.turn(false);
  timed.work = backend_.take();
  timed.work[static_cast<size_t>(Part::sampling)].seconds = sampling_seconds_;
  return timed;
}

void BenchCanvases::pass(std::span<const Segment> segments, std::span<const int32_t> ids,
                         std::span<const Tensor> soft) {
  head_.embed(segments, ids, soft);
  stages_.through(segments, head_.workspace().x, nullptr);
}

std::vector<int32_t> BenchCanvases::step(int index, std::span<const int32_t> ids,
                                         std::span<const Tensor> before,
                                         std::span<const Tensor> after) {
  const std::vector<Segment> segments = this->segments(index);
  pass(segments, ids, before);
  const std::vector<Candidates> candidates = head_.answer(segments, after);
  const Time begin = now();
  std::vector<int32_t> next = decide(index, candidates);
  sampling_seconds_ = seconds(now() - begin);
  return next;
}

std::vector<Segment> BenchCanvases::segments(int step) const {
  std::vector<Segment> segments(samplers_.size());
  for (int i = 0; i < count(); ++i) {
    Segment& s = segments[i];
    s.mode = Mode::denoise;
    s.position = length_;
    s.row_begin = i * spec_.canvas;
    s.rows = spec_.canvas;
    s.inverse_temperature = 1.0 / samplers_.front()->temperature(step);
    s.key = key_of(i, step);
  }
  return segments;
}

std::vector<int32_t> BenchCanvases::decide(int step, const std::vector<Candidates>& candidates) {
  std::vector<int32_t> next;
  for (int i = 0; i < count(); ++i)
    append(samplers_[i]
               ->decide(candidates[i], renoise_ids(key_of(i, step), spec_.canvas, spec_.vocab))
               .next,
           next);
  return next;
}

}  // namespace potluck
