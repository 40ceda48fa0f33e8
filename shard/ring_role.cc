// Chooses the role that a plan gives to a worker.
#include "shard/ring_role.h"

#include <tuple>

#include "shard/head_role.h"
#include "shard/stage_role.h"
#include "topology/base/check.h"

namespace potluck {

std::unique_ptr<RingRole> make_ring_role(const ModelSource& source, const Plan& plan, PeerId you,
                                         Backend& backend) {
  if (you == kHeadPeer) return std::make_unique<HeadRole>(source, plan, backend);
  CHECK(plan.has_worker(you), you);
  return std::make_unique<StageRole>(source, plan, you - stage_peer(0), backend);
}

bool is_same_part(const Plan& one, PeerId in_one, const Plan& other, PeerId in_other) {
  const auto what = [](const Plan& p) {
    return std::tie(p.stream, p.kv, p.precision, p.ctx_size, p.sessions, p.chunk);
  };
  const auto part = [](const WorkerPlan& w) {
    return std::tie(w.device, w.layers.begin, w.layers.end, w.threads, w.memory_bytes, w.hop_type);
  };
  const WorkerPlan &a = one.worker(in_one), &b = other.worker(in_other);
  return (in_one == kHeadPeer) == (in_other == kHeadPeer) && what(one) == what(other) &&
         part(a) == part(b) && !a.by_nccl && !b.by_nccl;
}

}  // namespace potluck
