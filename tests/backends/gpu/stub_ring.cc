// A model that fibers run in a fraction of a second: two layers, one of them full.
#include "tests/backends/gpu/stub_ring.h"

#include <numeric>

#include "topology/model/locator.h"

namespace potluck {
namespace {

constexpr char kStubModel[] =
    "synthetic:nano?layers=2&hidden=32&vocab=320&canvas=8&experts=4&window=8&seed=5";

std::shared_ptr<const ModelSource> model() {
  static const std::shared_ptr<const ModelSource> source = open_model(kStubModel);
  return source;
}

// A prompt of one chunk and three steps of a canvas.
Request request() {
  Request request;
  request.prompt = {2, 17, 99};
  request.max_tokens = 8;
  request.seed = 42;
  request.generation.max_steps = 3;
  request.generation.eos_ids = {1};
  return request;
}

std::vector<int> numbers(size_t count) {
  std::vector<int> all(count);
  std::iota(all.begin(), all.end(), 0);
  return all;
}

}  // namespace

StubRing::StubRing(std::vector<std::string> devices, Precision precision)
    : devices_(std::move(devices)),
      precision_(precision),
      ring_(model(), static_cast<int>(devices_.size()), 1, {}, devices_) {}

Outcome StubRing::ask() {
  Plan plan = plan_over(*model(), numbers(devices_.size()), ++epoch_);
  plan.precision = precision_;
  plan.head.device = devices_[0];
  for (size_t i = 0; i < plan.stages.size(); ++i) plan.stages[i].device = devices_[i + 1];
  return ring_.ask(plan, request());
}

const std::vector<int32_t>& answer_on_cpu() {
  static const std::vector<int32_t> ids = [] {
    StubRing ring({"cpu", "cpu"});
    return ring.ask().result.value().ids;
  }();
  return ids;
}

}  // namespace potluck
