// Accepts by rising entropy within a bound, and stops when the argmax has settled.
#include "coordinator/sampler.h"

#include <algorithm>
#include <deque>
#include <numeric>
#include <string>
#include <utility>

#include "topology/base/check.h"
#include "topology/base/fault.h"

namespace potluck {
namespace {

class EntropyBoundSampler final : public Sampler {
 public:
  EntropyBoundSampler(const GenerationSpec& spec, Draw draw) : spec_(spec), draw_(draw) {}

  double temperature(int step) const override {
    const double left = static_cast<double>(spec_.max_steps - step) / spec_.max_steps;
    return spec_.t_min + (spec_.t_max - spec_.t_min) * left;
  }
  int max_steps() const override { return spec_.max_steps; }
  void begin_canvas() override { history_.clear(); }

  StepDecision decide(const Candidates& c, std::span<const int32_t> renoise) override {
    const size_t length = c.entropy.size();
    CHECK(c.argmax.size() == length && c.sample.size() == length && renoise.size() == length,
          length);
    StepDecision decision;
    decision.accepted = accept(c.entropy);
    decision.next.resize(length);
    const std::vector<int32_t>& drawn = draw_ == Draw::argmax ? c.argmax : c.sample;
    for (size_t i = 0; i < length; ++i)
      decision.next[i] = decision.accepted[i] ? drawn[i] : renoise[i];
    const float sum = std::accumulate(c.entropy.begin(), c.entropy.end(), 0.0f);
    decision.mean_entropy = sum / length;
    decision.stop = stable(c.argmax) && decision.mean_entropy < spec_.confidence_threshold;
    return decision;
  }

 private:
  // By rising entropy (ties: lower position), as long as the sum of those before is within the
  // bound.
  std::vector<uint8_t> accept(const std::vector<float>& entropy) const {
    std::vector<size_t> order(entropy.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return entropy[a] < entropy[b]; });
    std::vector<uint8_t> accepted(entropy.size(), 0);
    float sum = 0;
    for (size_t i : order) {
      sum += entropy[i];
      accepted[i] = sum - entropy[i] <= static_cast<float>(spec_.entropy_bound);
    }
    return accepted;
  }

  // The argmax equals that of each of the last stability_threshold steps; then it joins them.
  bool stable(const std::vector<int32_t>& argmax) {
    const auto depth = static_cast<size_t>(spec_.stability_threshold);
    const bool same = history_.size() >= depth &&
                      std::all_of(history_.begin(), history_.end(),
                                  [&](const std::vector<int32_t>& h) { return h == argmax; });
    history_.push_back(argmax);
    if (history_.size() > depth) history_.pop_front();
    return same;
  }

  const GenerationSpec spec_;
  const Draw draw_;
  std::deque<std::vector<int32_t>> history_;
};

}  // namespace

std::unique_ptr<Sampler> make_entropy_bound_sampler(const GenerationSpec& spec, Draw draw) {
  if (spec.max_steps < 1 || spec.max_steps > kStepsMax)
    throw Fault(FaultKind::input,
                "the number of denoising steps is " + std::to_string(spec.max_steps),
                Fix{"it must be 1 to " + std::to_string(kStepsMax), Setting::steps});
  if (!(spec.t_min > 0) || !(spec.t_max >= spec.t_min))
    throw Fault(FaultKind::input,
                "temperatures run from t_max " + std::to_string(spec.t_max) + " to t_min " +
                    std::to_string(spec.t_min),
                Fix{"both must be positive and t_max the greater"});
  if (spec.stability_threshold < 0)
    throw Fault(FaultKind::input,
                "stability_threshold is " + std::to_string(spec.stability_threshold),
                Fix{"it must be 0 or more"});
  return std::make_unique<EntropyBoundSampler>(spec, draw);
}

}  // namespace potluck
