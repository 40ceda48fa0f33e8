// The model is made and its tensors are held once for all sequences; everything else begins anew in
// each.
#include "tests/fuzz/sessions/subject.h"

#include <new>
#include <stdexcept>
#include <utility>

#include "topology/base/check.h"
#include "topology/model/locator.h"
#include "transport/candidates.h"

namespace potluck {
namespace {

constexpr char kModel[] =
    "synthetic:nano?layers=2&hidden=32&heads=2&kv_heads=1&vocab=96&canvas=8&experts=2&"
    "experts_used=1&intermediate=32&window=8&seed=5";
// Less than any wait in made-up time that is meant to be too long.
constexpr double kTimeoutSeconds = 5;

}  // namespace

TensorBytes HeldModel::map(const TensorInfo& tensor) const {
  if (failure_ && reads_left_-- <= 0) {
    switch (*std::exchange(failure_, std::nullopt)) {
      case Failure::fault:
        throw Fault(FaultKind::world, "the disk is gone");
      case Failure::no_memory:
        throw std::bad_alloc();
      case Failure::other:
        throw std::runtime_error("an odd end");
    }
  }
  TensorBytes& bytes = held_[tensor.name];
  if (!bytes) bytes = made_->map(tensor);
  return bytes;
}

const std::shared_ptr<const HeldModel>& the_model() {
  static const auto model = std::make_shared<const HeldModel>(open_model(kModel));
  return model;
}

std::string endpoint_of(size_t worker) {
  return "wire://worker-" + std::to_string(worker);
}

const Plan& the_plan() {
  static const Plan plan = [] {
    Plan p = plan_local(the_model()->spec(), {1, 1});
    p.ctx_size = 48;
    p.chunk = 4;
    p.sessions = 2;
    p.slots = 2;
    p.stream = p.kv = p.head.hop_type = DType::f32;
    p.head.endpoint = endpoint_of(0);
    for (int i = 0; i < p.stage_count(); ++i) {
      p.stages[i].endpoint = endpoint_of(i + 1);
      p.stages[i].hop_type = DType::f32;
    }
    return p;
  }();
  return plan;
}

Coordinator::Coordinator(Wires& wires, uint64_t incarnation, Party::Tamper tamper)
    : incarnation_(incarnation),
      pipeline_(the_model()->spec(), {spec_digest(*the_model()), 0, {}}, events(),
                {.step_timeout_seconds = kTimeoutSeconds,
                 .load_timeout_seconds = kTimeoutSeconds,
                 .incarnation = incarnation}),
      party_(wires, pipeline_, Identity{}, "", std::move(tamper)) {}

PipelineEvents Coordinator::events() {
  PipelineEvents events;
  events.start.loaded = [this] { loaded_ = true; };
  events.start.ready = [](PeerId, const Ready& ready) { check_line(ready.device); };
  events.requests.step = [this](const StepReport& step) {
    const Payload seen = encode_candidates(*step.candidates);
    Digest& steps = running_.at(step.request).steps;
    steps = digest_bytes(seen.data, seen.bytes, steps);
  };
  events.requests.finished = [this](uint64_t request, const RequestResult& result) {
    const Running& of = running_.at(request);
    if (of.keeps) kept_session_ = result.session;
    answers_.push_back({result.ids, of.steps});
    end(request);
  };
  events.requests.failed = [this](uint64_t request, const Fault& fault) {
    check_line(fault.what());
    if (fault.kind() != FaultKind::canceled && failure_.empty()) failure_ = fault.what();
    end(request);
  };
  events.ring_failed = [this](const Fault& fault) {
    check_line(fault.what());
    CHECK(!std::exchange(failed_, true));
    if (failure_.empty()) failure_ = fault.what();
  };
  return events;
}

// A request ends once.
void Coordinator::end(uint64_t request) {
  CHECK(running_.erase(request) == 1, request);
}

void Coordinator::start(uint32_t epoch) {
  epoch_ = epoch;
  loaded_ = failed_ = keeps_ = false;
  kept_session_.reset();
  failure_.clear();
  answers_.clear();
  Plan plan = the_plan();
  plan.epoch = epoch;
  party_.give(pipeline_.start(party_.now(), plan));
}

// One session at most is kept: there is room for two. A ring that has failed is not asked.
void Coordinator::ask(bool keep, bool go_on) {
  if (failed_) return;
  Request request;
  request.prompt = {2, 17, 90, 33, 60, 7};
  request.max_tokens = 9;
  request.seed = 42;
  request.generation.max_steps = 2;
  if (go_on && kept_session_) request.session = *kept_session_;
  const bool keeps = request.session != 0 || (keep && !std::exchange(keeps_, true));
  request.keep_session = keeps;
  const uint64_t id = pipeline_.submit(std::move(request));
  running_[id] = {keeps};
  if (!keeps) last_ = id;
}

void Coordinator::cancel_last() {
  if (running_.count(last_)) pipeline_.cancel(last_);
}

void Coordinator::shut_down() {
  pipeline_.shut_down();
}

}  // namespace potluck
