// Chooses the role that a plan gives to a worker.
#include "shard/ring_role.h"

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

}  // namespace potluck
