// Goes down the ladder of what can be done about lost workers.
#include "cluster/ring/ring_repair.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "cluster/ring/device_rooms.h"
#include "cluster/ring/local_memory.h"
#include "topology/base/text.h"
#include "topology/plan/remaining_plan.h"

namespace potluck {
namespace {

constexpr char kHere[] = " here";  // behind the name of a worker whose part the CPU here takes

bool is_lost(const RingChange& change, const WorkerPlan& worker) {
  return std::count(change.lost.begin(), change.lost.end(), worker.name);
}

template <typename Body>
void each_lost(const RingChange& change, Plan& plan, const Body& body) {
  if (is_lost(change, plan.head)) body(kHeadPeer, plan.head);
  for (int i = 0; i < plan.stage_count(); ++i)
    if (is_lost(change, plan.stages[i])) body(stage_peer(i), plan.stages[i]);
}

}  // namespace

std::optional<Plan> RingRepair::plan_after(const RingChange& change, WhyNot& why_not) {
  if (change.losses == 0 && change.lost.empty()) {
    const std::optional<Plan> faster = faster_plan(*source_, change.plan, usable(change), why_not);
    if (!faster) return std::nullopt;
    return with_idle_started(*faster, change.plan);
  }
  if (std::optional<Plan> again = started_again(change)) return again;
  try {
    return with_idle_started(remaining_plan(*source_, change.plan, usable(change)), change.plan);
  } catch (const Fault& none) {
    return with_this_cpu(change, none);
  }
}

// A worker of this machine that a plan left out has ended with its link; it may be started again if
// it is a process.
std::vector<Candidate> RingRepair::usable(const RingChange& change) const {
  std::vector<Candidate> usable = change.candidates;
  std::erase_if(usable, [&](const Candidate& each) {
    return each.worker.local && !change.plan.peer_named(each.worker.name) &&
           !hosts_.can_start_again(each.worker);
  });
  return usable;
}

Plan RingRepair::with_idle_started(Plan plan, const Plan& before) {
  for (PeerId peer = kHeadPeer; plan.has_worker(peer); ++peer)
    if (plan.worker(peer).local && !before.peer_named(plan.worker(peer).name))
      hosts_.start(plan, {peer});
  return plan;
}

// None unless all of them can be started from here and failed by themselves, and not too often.
std::optional<Plan> RingRepair::started_again(const RingChange& change) {
  if (change.losses == 0 || change.losses > kStartsAgainMax || change.lost.empty())
    return std::nullopt;
  Plan plan = change.plan;
  bool all = true;
  std::vector<PeerId> peers;
  each_lost(change, plan, [&](PeerId peer, const WorkerPlan& worker) {
    all = all && hosts_.can_start_again(worker);
    peers.push_back(peer);
  });
  if (!all) return std::nullopt;
  if (const std::string words = hosts_.last_words(); !words.empty()) log_(words);
  log_(fmt::format("starting {} again", fmt::join(change.lost, ", ")));
  try {
    const std::map<std::string, Fault> failed = hosts_.start(plan, peers);
    if (!failed.empty()) throw failed.begin()->second;
    return plan;
  } catch (const Fault& fault) {
    if (fault.kind() == FaultKind::canceled) throw;
    log_(fault.what());
    return std::nullopt;
  }
}

// Its memory is looked at as it is now, with what runs here already.
Plan RingRepair::with_this_cpu(const RingChange& change, const Fault& why) {
  Plan plan = change.plan;
  bool any = false;
  each_lost(change, plan, [&](PeerId, WorkerPlan& worker) {
    if (worker.local && worker.device == "cpu") throw why;
    any = true;
    worker.name += kHere;
    worker.device = "cpu";
    worker.local = true;
    worker.by_nccl = false;
    worker.threads = 0;
    worker.memory_bytes = 0;
    worker.endpoint.clear();
    worker.key.clear();
  });
  if (!any) throw why;
  Plan added = plan;
  const auto is_new = [](const WorkerPlan& worker) {
    return worker.local && worker.endpoint.empty();
  };
  added.head.local = is_new(plan.head);
  for (WorkerPlan& stage : added.stages) stage.local = is_new(stage);
  try {
    check_local_memory(*source_, added, hosts_.threads(), cpu_room().bytes_free);
  } catch (const Fault& here) {
    throw Fault(why.kind(), why.text() + "; and on this machine: " + here.text(), here.fix());
  }
  for (PeerId peer = kHeadPeer; plan.has_worker(peer); ++peer) {
    if (!is_new(plan.worker(peer))) continue;
    log_("the CPU of this machine becomes " + plan.worker(peer).name);
    hosts_.start(plan, {peer});
  }
  return plan;
}

}  // namespace potluck
