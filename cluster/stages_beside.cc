#include "cluster/stages_beside.h"

#include <span>

namespace potluck {
namespace {
constexpr uint64_t kSession = 1;
}  // namespace

StagesBeside::StagesBeside(const ModelSource& source, const Plan& plan, Backend& backend)
    : spec_(source.spec()), plan_(plan), backend_(backend) {
  for (const WorkerPlan& stage : plan.stages) {
    stages_.push_back(std::make_unique<Stage>(source, plan, stage.layers, backend));
    stages_.back()->kv().open(kSession);
  }
}

void StagesBeside::restart() {
  for (const auto& stage : stages_) {
    stage->kv().close(kSession);
    stage->kv().open(kSession);
  }
}

void StagesBeside::hop(Tensor from, Tensor to, int rows, DType type) {
  std::vector<std::byte> wire(row_bytes(type, spec_.hidden) * static_cast<size_t>(rows));
  backend_.wait();
  backend_.pack(from, type, rows, spec_.hidden, wire.data());
  backend_.unpack(wire.data(), type, rows, spec_.hidden, to);
}

void StagesBeside::through(const Segment& segment, Tensor x, const Stage::LayerTap& tap) {
  Tensor from = x;
  DType type = plan_.head.hop;
  for (size_t i = 0; i < stages_.size(); ++i) {
    Stage& stage = *stages_[i];
    Segment s = segment;
    s.slot = stage.kv().slot(kSession);
    hop(from, stage.workspace().x, s.rows, type);
    stage.forward(std::span(&s, 1), tap);
    if (s.mode == Mode::encode) stage.kv().advance(kSession, s.rows);
    from = stage.workspace().x;
    type = plan_.stages[i].hop;
  }
  if (segment.mode == Mode::denoise) hop(from, x, segment.rows, type);
}

}  // namespace potluck
