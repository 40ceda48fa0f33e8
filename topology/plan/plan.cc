// Names a plan's workers, and makes plans whose workers are all here.
#include "topology/plan/plan.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "topology/base/check.h"
#include "topology/base/fault.h"

namespace potluck {

std::string range_text(LayerRange range) {
  return std::to_string(range.begin) + ":" + std::to_string(range.end);
}

bool Plan::has_worker(PeerId peer) const {
  return peer >= kHeadPeer && peer < stage_peer(stage_count());
}

const WorkerPlan& Plan::worker(PeerId peer) const {
  if (peer == kHeadPeer) return head;
  CHECK(peer >= stage_peer(0) && peer < stage_peer(stage_count()), peer);
  return stages[peer - stage_peer(0)];
}

WorkerPlan& Plan::worker(PeerId peer) {
  return const_cast<WorkerPlan&>(std::as_const(*this).worker(peer));
}

const WorkerPlan& Plan::next_of(PeerId peer) const {
  if (peer == kHeadPeer) return stages.front();
  return peer == stage_peer(stage_count() - 1) ? head : worker(peer + 1);
}

const WorkerPlan& Plan::previous_of(PeerId peer) const {
  return peer == kHeadPeer ? stages.back() : worker(peer - 1);
}

std::string Plan::name_of(PeerId peer) const {
  return peer == kCoordinatorPeer ? kCoordinatorName : worker(peer).name;
}

std::optional<PeerId> Plan::peer_named(const std::string& name) const {
  for (PeerId peer = kHeadPeer; has_worker(peer); ++peer)
    if (worker(peer).name == name) return peer;
  return std::nullopt;
}

// A program of the tests has "emulated:cuda" too.
std::string card_vendor(const std::string& device) {
  const size_t colon = device.find(':');
  if (colon == std::string::npos) return "";
  const std::string kind = device.substr(0, colon);
  return kind == "emulated" ? device.substr(colon + 1) : kind;
}

Plan plan_local(const ModelSpec& spec, const std::vector<int>& layer_counts) {
  const int layers = spec.layer_count();
  const int total = std::accumulate(layer_counts.begin(), layer_counts.end(), 0);
  if (total != layers)
    throw Fault(FaultKind::input, "the split adds up to " + std::to_string(total) + " layers",
                Fix{"it must have the model's " + std::to_string(layers), Setting::split});
  Plan plan;
  plan.head.name = "head";
  plan.head.local = true;
  plan.ctx_size = std::min(plan.ctx_size, spec.context_max);
  int begin = 0;
  for (int count : layer_counts) {
    WorkerPlan stage;
    stage.name = "stage " + std::to_string(plan.stage_count());
    stage.layers = {begin, begin + count};
    stage.local = true;
    begin += count;
    plan.stages.push_back(stage);
  }
  return plan;
}

}  // namespace potluck
