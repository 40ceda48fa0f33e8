// Passes activations through all stages of a plan, one after another, on one backend.
#include "cluster/ring/stages_beside.h"

namespace potluck {
namespace {

constexpr uint64_t kFirst = 1;

uint64_t session_of(size_t segment) {
  return kFirst + segment;
}

}  // namespace

StagesBeside::StagesBeside(const ModelSource& source, const Plan& plan, Backend& backend)
    : spec_(source.spec()), plan_(plan), backend_(backend) {
  for (const WorkerPlan& stage : plan.stages) {
    stages_.push_back(std::make_unique<Stage>(source, plan, stage.layers, backend));
    stages_.back()->kv().open(kFirst);
  }
}

void StagesBeside::restart() {
  for (const auto& stage : stages_) {
    for (int i = 0; i < plan_.sessions; ++i) stage->kv().close(session_of(i));
    stage->kv().open(kFirst);
  }
}

void StagesBeside::fork(int sessions) {
  for (const auto& stage : stages_)
    for (int i = 1; i < sessions; ++i) stage->kv().fork(kFirst, session_of(i));
}

void StagesBeside::hop(Tensor from, Tensor to, int rows, DType type) {
  std::vector<std::byte> wire(row_bytes(type, spec_.hidden) * rows);
  backend_.pack(from, type, rows, spec_.hidden, wire.data());
  backend_.wait();
  backend_.unpack(wire.data(), type, rows, spec_.hidden, to);
  backend_.wait();
}

void StagesBeside::through(std::span<const Segment> segments, Tensor x,
                           const Stage::LayerTap& tap) {
  const int rows = segments.back().row_begin + segments.back().rows;
  const bool encode = segments.front().mode == Mode::encode;
  Tensor from = x;
  DType type = plan_.head.hop_type;
  for (size_t i = 0; i < stages_.size(); ++i) {
    Stage& stage = *stages_[i];
    std::vector<Segment> own(segments.begin(), segments.end());
    for (size_t s = 0; s < own.size(); ++s) own[s].slot = stage.kv().slot(session_of(s));
    hop(from, stage.workspace().x, rows, type);
    stage.forward(own, tap);
    if (encode)
      for (size_t s = 0; s < own.size(); ++s) stage.kv().advance(session_of(s), own[s].rows);
    from = stage.workspace().x;
    type = plan_.stages[i].hop_type;
  }
  if (!encode) hop(from, x, rows, type);
}

}  // namespace potluck
