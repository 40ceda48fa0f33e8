// Asks a planner, and finds the host of each worker.
#include "cluster/ring/cluster_ring.h"

#include <algorithm>
#include <filesystem>

#include "topology/base/fault.h"
#include "topology/cluster/plan_endpoints.h"
#include "topology/plan/plan_check.h"
#include "topology/plan/plan_yaml.h"
#include "topology/planner/placement.h"
#include "topology/planner/planner.h"
#include "topology/planner/problem.h"

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

// The host of a worker; null for one that is named otherwise than the cluster's devices.
const HostSpec* host_with(const ClusterSpec& cluster, const std::string& worker) {
  for (const HostSpec& host : cluster.hosts)
    for (const DeviceSpec& device : host.devices)
      if (worker == device.name || worker == device.name + "-head") return &host;
  return nullptr;
}

// A path means the same in every folder of the other machine.
std::string model_there(const ClusterSpec& cluster, const HostSpec& host) {
  const std::string& model = host.model.empty() ? cluster.model : host.model;
  std::error_code ignored;
  const bool is_path = host.model.empty() && std::filesystem::exists(model, ignored);
  return is_path ? std::filesystem::absolute(model).string() : model;
}

void add_remote(const ClusterSpec& cluster, const WorkerPlan& worker, ClusterRing& ring) {
  if (worker.local) return;
  const HostSpec* host = host_with(cluster, worker.name);
  if (!host)
    throw Fault(FaultKind::input,
                "the plan's worker \"" + worker.name + "\" is no device of the cluster",
                Fix{"name it as in " + cluster.file + ", or make a plan with potluck plan --emit"});
  ring.remote[worker.name] = {host->ssh, host->program.empty() ? kProgram : host->program,
                              model_there(cluster, *host), ""};
}

void plan_anew(const ClusterSpec& cluster, const ModelSource& source, ClusterRing& ring) {
  const PlanProblem problem = make_problem(cluster, source, {});
  const PlanAnswer answer = plan_latency(problem);
  if (!answer.placement)
    throw Fault(FaultKind::memory,
                "the model does not fit on the devices of " + cluster.file + " as they are",
                Fix{"potluck plan --cluster " + cluster.file + " says what is missing"});
  ring.plan = plan_of(problem, *answer.placement);
  ring.step_ms = answer.objective_ms;
  set_endpoints(ring.plan, cluster);
}

}  // namespace

ClusterRing cluster_ring(const ClusterSpec& cluster, const ModelSource& source,
                         const std::string& plan_file) {
  check_coordinator(cluster);
  ClusterRing ring;
  if (plan_file.empty())
    plan_anew(cluster, source, ring);
  else
    ring.plan = read_plan(plan_file, source.spec());
  for (const HostSpec& host : cluster.hosts)
    if (coordinates(cluster, host)) ring.ports = {host.port_first, host.port_last};
  validate(ring.plan, source.spec());
  add_remote(cluster, ring.plan.head, ring);
  for (const WorkerPlan& stage : ring.plan.stages) add_remote(cluster, stage, ring);
  return ring;
}

}  // namespace potluck
