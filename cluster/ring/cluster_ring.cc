// Asks a planner, and finds the host of each worker.
#include "cluster/ring/cluster_ring.h"

#include <algorithm>
#include <filesystem>

#include "topology/base/fault.h"
#include "topology/cluster/courtesy.h"
#include "topology/cluster/other_models.h"
#include "topology/cluster/plan_endpoints.h"
#include "topology/plan/plan_check.h"
#include "topology/plan/plan_yaml.h"
#include "topology/planner/cluster_plan.h"

namespace potluck {
namespace {

constexpr char kProgram[] = "potluck";  // where a host names none: on its PATH

void check_coordinator(const ClusterSpec& cluster) {
  for (const HostSpec& host : cluster.hosts)
    if (coordinates(cluster, host) && !host.ssh.empty())
      throw Fault(
          FaultKind::input,
          "the coordinator of this cluster is \"" + host.name + "\", which is not this machine",
          Fix{"run potluck up there, or name another coordinator:"},
          cluster.file + ":" + std::to_string(host.line));
}

// A path means the same in every folder of the other machine.
std::string model_there(const ClusterSpec& cluster, const HostSpec& host) {
  const std::string& model = host.model.empty() ? cluster.model : host.model;
  std::error_code ignored;
  const bool is_path = host.model.empty() && std::filesystem::exists(model, ignored);
  return is_path ? std::filesystem::absolute(model).string() : model;
}

// How each worker that a plan of the cluster may have is started, also one that only a later plan
// has.
void add_devices(const ClusterSpec& cluster, const HostSpec& host, ClusterRing& ring) {
  for (const DeviceSpec& device : host.devices)
    for (const std::string& worker : worker_names(device)) {
      if (yields(device.courtesy)) ring.yields[worker] = courtesy_text(device.courtesy);
      if (coordinates(cluster, host)) continue;
      ring.remote[worker] = {host.ssh, host.program.empty() ? kProgram : host.program,
                             model_there(cluster, host), ""};
    }
}

// Workers that the plan starts here need not be of the cluster.
void take_given(const ClusterSpec& cluster, WorkerPlan& worker) {
  if (host_for(cluster, worker.name))
    worker.may_be_head = worker.may_be_head && may_be_head(cluster, worker.name);
  else if (!worker.local)
    throw Fault(FaultKind::input,
                "the plan's worker \"" + worker.name + "\" is no device of the cluster",
                Fix{"name it as in " + cluster.file + ", or make a plan with potluck plan --emit"});
}

void check_head(const ClusterSpec& cluster, const WorkerPlan& head) {
  if (head.may_be_head) return;
  throw Fault(FaultKind::input,
              "the plan's head is \"" + head.name + "\", which " + cluster.file +
                  " keeps from prompts and answers",
              Fix{"choose another head, or trust its host and let its device have the role head"});
}

void plan_anew(const ClusterSpec& cluster, const ModelSource& source, ClusterRing& ring) {
  const ClusterPlan best = plan_cluster(cluster, source, objective_of(cluster));
  if (!best.answer.placement)
    throw Fault(FaultKind::memory,
                "the model does not fit on the devices of " + cluster.file + " as they are",
                Fix{"potluck plan --cluster " + cluster.file + " says what is missing"});
  ring.plan = plan_of(best.problem, *best.answer.placement);
  ring.step_ms = step_ms(best.problem, *best.answer.placement);
  set_endpoints(ring.plan, cluster);
}

}  // namespace

std::unique_ptr<ModelSource> open_model_of(const ClusterSpec& cluster, const std::string& flag,
                                           const ModelPlaces& places) {
  if (!flag.empty()) return open_model(flag, places);
  try {
    return open_model(cluster.model, places);
  } catch (const Fault& fault) {
    const std::string within = fault.where().empty() ? "" : fault.where() + ": ";
    throw Fault(fault.kind(), "\"model\": " + within + fault.text(), Fix{fault.fix().text},
                cluster.file + ":" + std::to_string(cluster.model_line));
  }
}

ClusterRing cluster_ring(const ClusterSpec& given, const ModelSource& source,
                         const std::string& plan_file) {
  check_coordinator(given);
  ClusterSpec cluster = given;
  drop_speeds_of_other_models(cluster, source);
  ClusterRing ring;
  ring.cluster = std::make_shared<const ClusterSpec>(cluster);
  if (plan_file.empty())
    plan_anew(cluster, source, ring);
  else
    ring.plan = read_plan(plan_file, source.spec());
  for (const HostSpec& host : cluster.hosts)
    if (coordinates(cluster, host)) ring.ports = {host.port_first, host.port_last};
  validate(ring.plan, source.spec());
  for (PeerId peer = kHeadPeer; ring.plan.has_worker(peer); ++peer)
    take_given(cluster, ring.plan.worker(peer));
  check_head(cluster, ring.plan.head);
  for (const HostSpec& host : cluster.hosts) add_devices(cluster, host, ring);
  return ring;
}

}  // namespace potluck
