// The keys of a plan: those that it names, and this machine's for the workers that are here.
#include "cluster/ring/link_keys.h"

#include "topology/base/endpoint.h"
#include "topology/base/fault.h"
#include "topology/plan/dialing.h"

namespace potluck {
namespace {

template <typename Body>
void each_worker(Plan& plan, const Body& body) {
  body(plan.head);
  for (WorkerPlan& stage : plan.stages) body(stage);
}

bool is_tcp(const WorkerPlan& worker) {
  const auto endpoint = parse_endpoint(worker.endpoint);
  return endpoint && endpoint->scheme == "tcp";
}

// This machine's worker, or none that is listening yet.
bool is_ours(const WorkerPlan& worker) {
  return is_here(worker) || !parse_endpoint(worker.endpoint);
}

void check_plain(const WorkerPlan& worker) {
  if (worker.key.empty()) return;
  throw Fault(FaultKind::input,
              "the plan names a key for \"" + worker.name + "\", but plain links are asked for",
              Fix{"leave one of the two out", Setting::plain_links});
}

}  // namespace

bool has_tcp(const Plan& plan) {
  bool found = is_tcp(plan.head);
  for (const WorkerPlan& stage : plan.stages) found = found || is_tcp(stage);
  return found;
}

void name_keys(Plan& plan, const std::function<LockKeys()>& own_keys, bool plain) {
  if (plain) return each_worker(plan, check_plain);
  if (!has_tcp(plan)) return;
  each_worker(plan, [](const WorkerPlan& worker) {
    if (worker.key.empty() && !is_ours(worker))
      throw Fault(FaultKind::input,
                  "\"" + worker.name + "\" at " + worker.endpoint +
                      " has no key in the plan to lock the link with it",
                  Fix{"give it key: and what potluck key shows on its machine; or, on a network "
                      "that you trust, ask for plain links",
                      Setting::plain_links});
  });
  const std::string key = own_keys().public_key;
  each_worker(plan, [&](WorkerPlan& worker) {
    if (worker.key.empty()) worker.key = key;
  });
}

}  // namespace potluck
