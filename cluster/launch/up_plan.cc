// Decides what `up` runs: by the cluster file, or alone on this machine.
#include "cluster/launch/up_plan.h"

#include "cluster/launch/control_port.h"
#include "topology/base/fault.h"
#include "topology/cluster/cluster_yaml.h"

namespace potluck {
namespace {

using Say = std::function<void(const std::string& line)>;

// A plan for this machine, or none yet if others may come and help.
void plan_here(const UpFlags& flags, UpPlan& plan, const Say& say) {
  try {
    plan.ring.plan = plan_of(*plan.source, flags.ring, say);
  } catch (const Fault& fault) {
    if (!may_wait(flags, fault)) throw;
    say(fault.what());
    plan.waits = true;
  }
}

void let_guests_reach(HostSetup& hosts, const std::string& listen) {
  hosts.reachable_at = [listen] { return address_for_guests(listen); };
  if (hosts.reachable_at().empty())
    throw Fault(FaultKind::world, "this machine has no address that others could reach",
                Fix{"connect it to a network, or start it without --join"});
}

void fill_in(HostSetup& hosts, const UpFlags& flags, const CommandLine& line, const UpPlan& plan) {
  hosts.program = line.program;
  hosts.config = line.config;
  hosts.model = plan.model;
  hosts.remote = plan.ring.remote;
  hosts.yields = plan.ring.yields;
  hosts.ssh = flags.ssh;
  if (flags.join) let_guests_reach(hosts, listen_text(flags));
}

}  // namespace

UpPlan up_plan(const UpFlags& flags, const CommandLine& line, const Say& say) {
  UpPlan plan;
  ClusterSpec cluster;
  if (!flags.cluster.empty()) cluster = read_cluster(flags.cluster);
  plan.model = flags.model.empty() ? cluster.model : flags.model;
  if (plan.model.empty())
    throw Fault(FaultKind::input, flags.cluster + " names no model",
                Fix{"add model:", Setting::model});
  plan.source = open_model_of(cluster, flags.model, line.places);
  cluster.model = plan.model;
  plan.hosts = host_setup(flags.ring, 2);  // processes, which a crash here cannot hold up
  if (flags.cluster.empty()) {
    plan_here(flags, plan, say);
  } else {
    plan.ring = cluster_ring(cluster, *plan.source, flags.ring.plan);
    plan.hosts.insecure_plaintext |= cluster.options.insecure_plaintext;
  }
  fill_in(plan.hosts, flags, line, plan);
  return plan;
}

}  // namespace potluck
