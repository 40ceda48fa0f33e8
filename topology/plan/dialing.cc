// Writes plans and faults for the two ends of a dial.
#include "topology/plan/dialing.h"

#include "topology/base/endpoint.h"
#include "topology/base/utf8.h"

namespace potluck {
namespace {

// "this machine", or the worker's own and where it is.
std::string machine_of(const WorkerPlan& worker) {
  const auto endpoint = parse_endpoint(worker.endpoint);
  if (is_here(worker) || !endpoint) return "this machine";
  return "the machine of " + worker.name + " (" + endpoint->host + ")";
}

std::string what_to_open(const WorkerPlan& from, const WorkerPlan& to) {
  const auto endpoint = parse_endpoint(to.endpoint);
  if (!endpoint || endpoint->scheme != "tcp") return "see whether its worker runs";
  const std::string port = std::to_string(endpoint->port);
  std::string open = "open TCP port " + port + " of " + machine_of(to) + " to " + machine_of(from);
  if (to.local) open += " (in the plan, its endpoint can fix the port: tcp://*:" + port + ")";
  open += ", and see that there is a route between them";
  if (!is_here(to) && !is_here(from)) open += "; or put a stage with \"start: here\" between them";
  return open;
}

std::string lost_words(const WorkerPlan& neighbour) {
  return "lost " + neighbour.name + ":";
}

void hide_keys(WorkerPlan& worker, const Plan& plan, PeerId from) {
  const bool is_near = worker.name == plan.worker(from).name ||
                       worker.name == plan.next_of(from).name ||
                       worker.name == plan.previous_of(from).name;
  if (!is_near) worker.key.clear();
}

}  // namespace

bool is_here(const WorkerPlan& worker) {
  const auto endpoint = parse_endpoint(worker.endpoint);
  return worker.local || (endpoint && is_loopback(*endpoint));
}

Plan plan_for(const Plan& plan, PeerId you) {
  Plan yours = plan;
  hide_keys(yours.head, plan, you);
  for (WorkerPlan& stage : yours.stages) hide_keys(stage, plan, you);
  if (is_here(plan.worker(you))) return yours;
  const bool last = you == stage_peer(plan.stage_count() - 1);
  WorkerPlan& next = last ? yours.head : yours.stages[you - kHeadPeer];
  next.endpoint = without_zone(next.endpoint);
  return yours;
}

std::string not_reached_text(const WorkerPlan& next) {
  return next.name + " was not reached at " + next.endpoint;
}

std::string lost_text(const WorkerPlan& neighbour, const std::string& reason) {
  return lost_words(neighbour) + " " + reason;
}

std::optional<PeerId> lost_neighbour(const Fault& fault, const Plan& plan, PeerId from) {
  if (fault.kind() != FaultKind::lost || !plan.has_worker(from)) return std::nullopt;
  const PeerId last = stage_peer(plan.stage_count() - 1);
  const PeerId next = from == last ? kHeadPeer : from + 1;
  const PeerId previous = from == kHeadPeer ? last : from - 1;
  const Plan told = plan_for(plan, from);
  if (fault.text() == one_line(not_reached_text(told.worker(next)))) return next;
  for (PeerId other : {next, previous})
    if (fault.text().rfind(one_line(lost_words(told.worker(other))), 0) == 0) return other;
  return std::nullopt;
}

Fault explained(const Fault& fault, const Plan& plan, PeerId from) {
  if (fault.kind() != FaultKind::lost || !plan.has_worker(from)) return fault;
  if (fault.text() != one_line(not_reached_text(plan_for(plan, from).next_of(from)))) return fault;
  const WorkerPlan &dialer = plan.worker(from), &next = plan.next_of(from);
  return Fault(FaultKind::lost,
               dialer.name + " could not reach " + next.name + " at " + next.endpoint,
               Fix{what_to_open(dialer, next)});
}

}  // namespace potluck
