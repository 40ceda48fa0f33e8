// Takes the head's room from this machine's, and cuts the layers over what is left and the guests.
#include "topology/plan/joint_plan.h"

#include <string>

#include "topology/plan/cost_model.h"

namespace potluck {
namespace {

WorkerPlan own_stage(const Plan& frame, const std::string& device, size_t number) {
  WorkerPlan stage = frame.head;
  stage.name = "stage " + std::to_string(number);
  stage.device = device;
  return stage;
}

std::vector<DeviceRoom> rooms_of(const std::vector<OwnDevice>& own) {
  std::vector<DeviceRoom> rooms;
  for (const OwnDevice& each : own) rooms.push_back(each.room);
  return rooms;
}

}  // namespace

uint64_t whole_need(const ModelSource& source, const Plan& frame) {
  Plan plan = frame;
  plan.stages.assign(1, own_stage(frame, frame.head.device, 0));
  plan.stages[0].layers = {0, source.spec().layer_count()};
  return head_need(source, plan).total() + stage_need(source, plan, 0).total();
}

Plan joint_plan(const ModelSource& source, const Plan& frame, const std::vector<OwnDevice>& own,
                const std::vector<Candidate>& guests) {
  const std::vector<DeviceRoom> rooms = rooms_of(own);
  const size_t head = MemoryPartitioner(rooms, frame, std::nullopt).head_device(source);
  Plan running = frame;
  running.head.device = rooms[head].device;
  const uint64_t head_bytes = head_need(source, running).total();
  std::vector<Candidate> candidates = {{running.head, head_bytes, 0}};
  for (size_t i = 0; i < own.size(); ++i) {
    const uint64_t left = rooms[i].bytes() - (i == head ? head_bytes : 0);
    if (left > 0)
      candidates.push_back({own_stage(frame, rooms[i].device, i), left, own[i].layer_ms});
  }
  for (const Candidate& guest : guests) {
    candidates.push_back(guest);
    candidates.back().worker.hop_type = frame.head.hop_type;
  }
  return remaining_plan(source, running, candidates);
}

}  // namespace potluck
