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

Fault explained(const Fault& fault, const Plan& plan, PeerId from) {
  if (fault.kind() != FaultKind::lost || !plan.has_worker(from)) return fault;
  if (fault.text() != one_line(not_reached_text(plan_for(plan, from).next_of(from)))) return fault;
  const WorkerPlan &dialer = plan.worker(from), &next = plan.next_of(from);
  return Fault(FaultKind::lost,
               dialer.name + " could not reach " + next.name + " at " + next.endpoint,
               Fix{what_to_open(dialer, next)});
}

}  // namespace potluck
