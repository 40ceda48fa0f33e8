// Keeps a list of workers that are there and of those that are lost, and brings up what a planner
// asks for.
#include "cluster/ring/cluster_repair.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "cluster/cli/interrupt.h"
#include "topology/cluster/plan_endpoints.h"

namespace potluck {
namespace {

constexpr double kTryAgainSeconds = 5, kTryAgainSecondsMax = 300;  // twice as long each time
constexpr double kAnswerSeconds = 60;  // a worker that says nothing for so long never will

bool is_called(const Plan& plan, PeerId peer) {
  return peer != kHeadPeer || plan.stage_count() > 1;
}

// A socket of this machine's files is no place for a worker that another machine calls.
bool has_to_move(const Plan& plan, PeerId peer) {
  const WorkerPlan& worker = plan.worker(peer);
  return worker.local && worker.endpoint.rfind("ipc://", 0) == 0 && is_called(plan, peer) &&
         !plan.previous_of(peer).local;
}

// A guest may call itself as a device does that is away.
bool has_taken_a_name(const ClusterSpec& cluster, const Candidate& each) {
  return !each.worker.may_be_head && may_be_head(cluster, each.worker.name);
}

bool coordinator_lists_its_cpu(const ClusterSpec& cluster) {
  return std::any_of(cluster.hosts.begin(), cluster.hosts.end(), [&](const HostSpec& host) {
    return coordinates(cluster, host) &&
           std::any_of(host.devices.begin(), host.devices.end(),
                       [](const DeviceSpec& device) { return device.device == "cpu"; });
  });
}

}  // namespace

void ClusterRepair::learn_figures(const Plan& plan) {
  try {
    replanner_.emplace(cluster_, *source_, plan);
  } catch (const Fault& lacking) {
    if (lacking.kind() != FaultKind::input) throw;
    log_.say(std::string("if a worker is lost, no planner is asked: ") + lacking.what());
    return;
  }
  if (!replanner_->without_spares().empty())
    log_.warn("no spare can take part: " + replanner_->without_spares());
}

Plan ClusterRepair::begin(Plan plan, bool may_be_another) {
  learn_figures(plan);
  hosts_.check_memory(plan);
  const std::map<std::string, Fault> failed = start_all(plan);
  if (failed.empty()) return plan;
  const Fault& first = failed.begin()->second;
  if (!may_be_another || !replanner_) throw first;
  try {
    return remaining(plan);
  } catch (const Fault& none) {
    if (none.kind() == FaultKind::canceled) throw;
    throw Fault(first.kind(), first.text() + "; and " + none.text(), first.fix(), first.where());
  }
}

std::optional<Plan> ClusterRepair::plan_after(const RingChange& change, WhyNot& why_not) {
  if (!replanner_ || has_others(change)) return repair_.plan_after(change, why_not);
  note(change);
  Plan plan = change.plan;
  if (change.losses == 0 && change.lost.empty()) return better(change, why_not);
  if (started_again(change, plan)) return plan;
  if (change.lost.empty()) limit_memory(change);
  try {
    return remaining(plan);
  } catch (const Fault& none) {
    if (none.kind() == FaultKind::canceled) throw;
    return last_resort({plan, change.lost, change.candidates, change.losses}, none);
  }
}

std::optional<Plan> ClusterRepair::better(const RingChange& change, WhyNot& why_not) {
  std::string why;
  std::optional<Plan> better = replanner_->better(change.plan, why);
  while (better && !brought_up(*better)) better = replanner_->better(change.plan, why);
  for (const Candidate& each : change.candidates)
    if (!better && !change.plan.peer_named(each.worker.name)) why_not[each.worker.name] = why;
  return better;
}

// Devices of the plan are gone for the planner once their workers have left.
void ClusterRepair::set_aside(const std::set<std::string>& workers, const Plan& running) {
  for (const std::string& name : workers) {
    const auto [place, is_new] = aside_.emplace(name, false);
    if (!is_new) continue;
    const DeviceSpec* device = device_for(cluster_, name);
    bool& runs = place->second;
    for (PeerId peer = kHeadPeer; running.has_worker(peer); ++peer)
      runs = runs || device_for(cluster_, running.worker(peer).name) == device;
    if (replanner_ && !runs && replanner_->knows(name)) replanner_->gone(name);
  }
}

// One that has left is there again when it answers; the others were never called.
void ClusterRepair::take_back(const std::set<std::string>& workers) {
  for (const std::string& name : workers) {
    const auto found = aside_.find(name);
    if (found == aside_.end()) continue;
    if (replanner_ && !found->second && replanner_->knows(name) && !lost_.count(name))
      replanner_->there(name);
    aside_.erase(found);
  }
}

// A worker that no plan has may have ended since, or listen still.
void ClusterRepair::note(const RingChange& change) {
  std::erase_if(there_, [&](const auto& each) {
    return std::count(change.lost.begin(), change.lost.end(), each.first) ||
           (!change.plan.peer_named(each.first) && !is_alive(each.second));
  });
  for (const Candidate& each : change.candidates) {
    const std::string& name = each.worker.name;
    replanner_->there(name);
    if (!change.plan.peer_named(name) && !is_alive(each.worker)) continue;
    there_[name] = each.worker;
    lost_.erase(name);
  }
}

bool ClusterRepair::has_others(const RingChange& change) const {
  const auto is_other = [&](const WorkerPlan& worker) {
    return !worker.local && !replanner_->knows(worker.name);
  };
  bool found = false;
  for (PeerId peer = kHeadPeer; change.plan.has_worker(peer); ++peer)
    found = found || is_other(change.plan.worker(peer));
  for (const Candidate& each : change.candidates)
    found = found || is_other(each.worker) || has_taken_a_name(cluster_, each);
  return found;
}

void ClusterRepair::do_without(const WorkerPlan& worker, bool try_again) {
  if (replanner_) replanner_->gone(worker.name);
  there_.erase(worker.name);
  if (!try_again || worker.local) return;
  double& wait = patience_[worker.name];
  wait = wait == 0 ? kTryAgainSeconds : std::min(2 * wait, kTryAgainSecondsMax);
  lost_[worker.name] = {worker, now() + from_seconds(wait), {}, wait, true};
}

bool ClusterRepair::is_alive(const WorkerPlan& worker) {
  return !hosts_.can_start_again(worker) || hosts_.state(worker) == WorkerState::listening;
}

std::vector<WorkerPlan> ClusterRepair::alive() {
  std::vector<WorkerPlan> workers;
  for (const auto& [name, worker] : there_) workers.push_back(worker);
  for (const auto& [name, lost] : lost_) workers.push_back(lost.worker);  // its port stays its own
  return workers;
}

// Starts those of the plan that are not there, or have to listen elsewhere.
std::map<std::string, Fault> ClusterRepair::start_all(Plan& plan) {
  std::vector<PeerId> peers;
  for (PeerId peer = kHeadPeer; plan.has_worker(peer); ++peer) {
    WorkerPlan& worker = plan.worker(peer);
    if (has_to_move(plan, peer))
      worker.endpoint.clear();
    else if (there_.count(worker.name) || !hosts_.can_start_again(worker))
      continue;
    peers.push_back(peer);
  }
  return start(plan, peers);
}

std::map<std::string, Fault> ClusterRepair::start(Plan& plan, const std::vector<PeerId>& peers) {
  std::map<std::string, Fault> failed;
  try {
    failed = hosts_.start(plan, peers);
  } catch (const Fault& fault) {
    if (fault.kind() == FaultKind::canceled || fault.kind() == FaultKind::input) throw;
    for (const PeerId peer : peers)
      if (!is_alive(plan.worker(peer))) failed.emplace(plan.worker(peer).name, fault);
  }
  for (const PeerId peer : peers) {
    const WorkerPlan& worker = plan.worker(peer);
    const auto why = failed.find(worker.name);
    if (why == failed.end() && is_alive(worker)) there_[worker.name] = worker;
    if (why == failed.end()) continue;
    log_.warn(
        fmt::format("{} does not start and is done without: {}", worker.name, why->second.what()));
    do_without(worker, true);
  }
  return failed;
}

bool ClusterRepair::brought_up(Plan& plan) {
  set_endpoints(plan, cluster_, alive());
  return start_all(plan).empty();
}

// Not those that ended too often in a row, nor those that are to leave, which come back by
// themselves. What listens, and was not reached when the ring was to begin, would not be reached
// another time.
bool ClusterRepair::may_start_again(const RingChange& change, const WorkerPlan& worker) {
  return change.losses > 0 && change.losses <= kStartsAgainMax && hosts_.can_start_again(worker) &&
         (has_run_ || worker.local || !is_alive(worker));
}

bool ClusterRepair::started_again(const RingChange& change, Plan& plan) {
  std::vector<PeerId> peers;
  std::vector<std::string> names;
  for (const std::string& name : change.lost) {
    const PeerId peer = *plan.peer_named(name);
    if (lost_.count(name)) continue;  // it did not start a moment ago
    if (!may_start_again(change, plan.worker(peer))) {
      do_without(plan.worker(peer), change.losses > 0);
      continue;
    }
    peers.push_back(peer);
    names.push_back(name);
  }
  if (peers.empty()) return false;
  if (const std::string words = hosts_.last_words(); !words.empty()) log_.say(words);
  log_.say(fmt::format("starting {} again", fmt::join(names, ", ")));
  return start(plan, peers).empty() && peers.size() == change.lost.size();
}

// A worker has less memory than the file says. What several of one device have seen is that of all.
void ClusterRepair::limit_memory(const RingChange& change) {
  std::map<const DeviceSpec*, uint64_t> seen;
  for (const Candidate& each : change.candidates)
    if (const DeviceSpec* device = device_for(cluster_, each.worker.name); device)
      seen[device] += each.bytes_free;
  for (const auto& [device, bytes] : seen)
    if (bytes > 0) replanner_->limit(device->name, bytes);
}

Fault ClusterRepair::too_little_is_left() const {
  std::string text = "the model does not fit on what is left of " + cluster_.file;
  if (const std::vector<std::string> away = replanner_->away(); !away.empty())
    text += fmt::format(" without {}", fmt::join(away, ", "));
  return {FaultKind::memory, text,
          Fix{"give devices more memory there, or add one with the role spare"}};
}

Plan ClusterRepair::remaining(const Plan& running) {
  for (;;) {
    std::optional<Plan> next = replanner_->remaining(running);
    if (!next) throw too_little_is_left();
    if (brought_up(*next)) return *next;
  }
}

// A file that lists the coordinator's CPU has said what that one may do.
Plan ClusterRepair::last_resort(const RingChange& change, const Fault& why) {
  if (coordinator_lists_its_cpu(cluster_)) throw why;
  RingChange left = change;
  std::erase_if(left.lost, [this](const std::string& name) { return there_.count(name) > 0; });
  return repair_.with_this_cpu(left, why);
}

std::vector<Candidate> ClusterRepair::found_again(Time now, const Plan& running) {
  std::vector<Candidate> found;
  for (auto& [name, lost] : lost_) {
    if (interrupt_signal() || running.peer_named(name) || aside_.count(name)) continue;
    try {
      const WorkerState state = hosts_.state(lost.worker);
      if (state != WorkerState::listening) {
        ask_again(now, lost, state);
      } else if (!std::exchange(lost.is_met, true)) {
        hosts_.meet(lost.worker);
        found.push_back({lost.worker, 0, 0});
      }
    } catch (const Fault& fault) {
      log_.warn(fmt::format("{} is not taken back: {}", name, fault.what()));
    }
  }
  return found;
}

void ClusterRepair::ask_again(Time now, Lost& lost, WorkerState state) {
  if (now < lost.next) return;
  if (state == WorkerState::starting && now < lost.begun + from_seconds(kAnswerSeconds)) return;
  lost.wait_seconds = std::min(2 * lost.wait_seconds, kTryAgainSecondsMax);
  lost.begun = now;
  lost.next = now + from_seconds(lost.wait_seconds);
  lost.is_met = false;
  hosts_.begin(lost.worker);
}

std::optional<double> ClusterRepair::step_ms(const Plan& plan) const {
  return replanner_ ? replanner_->step_ms(plan) : std::nullopt;
}

}  // namespace potluck
