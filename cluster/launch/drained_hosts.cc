// Finds the workers of a machine by its name, and has the ring do without them.
#include "cluster/launch/drained_hosts.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "cluster/ring/ring_plan.h"
#include "topology/base/fault.h"
#include "topology/base/utf8.h"
#include "topology/model/json_text.h"

namespace potluck {
namespace {

constexpr char kDrain[] = "what is to be drained";

}  // namespace

// A machine that was drained stays known, whether or not it is there now.
std::map<std::string, DrainedHosts::Workers> DrainedHosts::known() const {
  std::map<std::string, Workers> known = asked_;
  for (const auto& [worker, host] : places_()) known[host].insert(worker);
  const Plan& plan = ring_.plan();
  for (PeerId peer = kHeadPeer; plan.has_worker(peer); ++peer) {
    const WorkerPlan& worker = plan.worker(peer);
    if (worker.local) known.emplace(worker.name, Workers{worker.name});
  }
  return known;
}

const DrainedHosts::Workers& DrainedHosts::workers_of(const std::map<std::string, Workers>& known,
                                                      const std::string& name) const {
  const auto found = known.find(name);
  if (found != known.end()) return found->second;
  std::vector<std::string> names;
  for (const auto& [each, workers] : known) names.push_back(each);
  if (own_hosts_.contains(name))
    throw Fault(FaultKind::input,
                "\"" + one_line(name) + "\" is the coordinator's own machine, which stays",
                Fix{fmt::format("potluck down ends the cluster; what can be drained: {}",
                                fmt::join(names, ", "))});
  throw Fault(FaultKind::input, "the cluster has no machine \"" + one_line(name) + "\"",
              Fix{fmt::format("it has {}", fmt::join(names, ", "))});
}

void DrainedHosts::take(const std::shared_ptr<ControlCall>& call) {
  const JsonFields fields(call->body(), kDrain);
  const std::string name = fields.text("host");
  const std::map<std::string, Workers> known = this->known();
  const Workers& workers = workers_of(known, name);
  if (fields.at("end") == true)
    end(name, *call);
  else
    drain(name, workers, call);
}

// One that has left already may have come back with more workers.
void DrainedHosts::drain(const std::string& name, const Workers& workers,
                         const std::shared_ptr<ControlCall>& call) {
  asked_[name] = workers;
  ring_.set_aside(workers, [this, name, call](const std::string& why_not) {
    if (why_not.empty()) {
      gone_.insert(name);
    } else {
      gone_.erase(name);
      asked_.erase(name);
    }
    answer(*call, why_not);
  });
}

void DrainedHosts::end(const std::string& name, ControlCall& call) {
  const auto asked = asked_.extract(name);
  if (asked.empty()) return answer(call, "\"" + name + "\" was not drained");
  gone_.erase(name);
  ring_.take_back(asked.mapped());
  answer(call, "");
}

void DrainedHosts::answer(ControlCall& call, const std::string& why_not) const {
  call.reply({{"done", why_not.empty()}, {"why", why_not}, {"ring", ring_text(ring_.plan())}});
}

std::vector<std::string> DrainedHosts::names() const {
  return {gone_.begin(), gone_.end()};
}

}  // namespace potluck
