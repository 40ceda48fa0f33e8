// Turns a cluster and a model into a planner's numbers.
#include "topology/planner/problem.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "topology/base/fault.h"
#include "topology/base/text.h"
#include "topology/plan/cost_model.h"
#include "topology/plan/step_time.h"

namespace potluck {
namespace {

std::string file_line(const ClusterSpec& cluster, int line) {
  return line ? cluster.file + ":" + std::to_string(line) : cluster.file;
}

void check_context(const ClusterSpec& cluster, const ModelSpec& spec) {
  const ClusterOptions& options = cluster.options;
  if (options.context <= spec.context_max) return;
  throw Fault(FaultKind::input,
              "\"context\" is " + std::to_string(options.context) +
                  ", and this model takes at most " + std::to_string(spec.context_max) + " tokens",
              Fix{"write " + std::to_string(spec.context_max) + " or less"},
              file_line(cluster, options.context_line));
}

// All of a plan that the cluster's options decide.
Plan frame_of(const ClusterSpec& cluster, const ModelSpec& spec) {
  const ClusterOptions& options = cluster.options;
  Plan plan = plan_local(spec, {spec.layer_count()});
  if (options.context) plan.ctx_size = options.context;
  plan.sessions = std::max(options.sessions, options.canvases);
  plan.precision = options.precision;
  return plan;
}

// The needs of cost_model.h for one kind of device, layer by layer.
struct Needs {
  std::vector<uint64_t> layers;
  uint64_t stage = 0, head = 0;
};

Needs needs_of(const ModelSource& source, const Plan& frame, const DeviceSpec& spec) {
  Plan plan = frame;
  WorkerPlan& stage = plan.stages.front();
  stage.device = plan.head.device = spec.device;
  stage.threads = plan.head.threads = spec.threads;
  Needs needs;
  needs.stage = stage_need(source, plan, 0).workspace;
  needs.head = head_need(source, plan).total();
  for (int i = 0; i < source.spec().layer_count(); ++i) {
    stage.layers = {i, i + 1};
    const MemoryNeed need = stage_need(source, plan, 0);
    needs.layers.push_back(need.weights + need.kv);
  }
  return needs;
}

// Devices that take no part because of what the cluster's file or the asker says.
bool takes_part(const HostSpec& host, const DeviceSpec& device, const PlanAsk& ask) {
  const auto is_lost = [&](const std::string& name) {
    return std::find(ask.lost.begin(), ask.lost.end(), name) != ask.lost.end();
  };
  return (!device.spare || ask.with_spares) && !is_lost(host.name) && !is_lost(device.name);
}

class ProblemMaker {
 public:
  ProblemMaker(const ClusterSpec& cluster, const ModelSource& source, const PlanAsk& ask)
      : cluster_(cluster), source_(source), ask_(ask) {
    check_context(cluster, source.spec());
    problem_.frame = frame_of(cluster, source.spec());
    problem_.stored_bytes = layer_bytes(source);
    problem_.head_stored_bytes = head_bytes(source);
  }

  PlanProblem make() {
    check_figures();
    for (const HostSpec& host : cluster_.hosts) {
      for (const DeviceSpec& device : host.devices) add(host, device);
      problem_.hosts.push_back(host.name);
    }
    check_within("the number of devices in " + cluster_.file, problem_.devices.size(), 1,
                 kDevicesMax);
    check_links();
    add_hops();
    place_head();
    return std::move(problem_);
  }

 private:
  void check_figures() const {
    std::string lacking;
    int line = 0;
    for (const HostSpec& host : cluster_.hosts)
      for (const DeviceSpec& device : host.devices) {
        if (!takes_part(host, device, ask_) || (device.speed && device.memory_bytes)) continue;
        if (lacking.empty()) line = device.line;
        lacking += (lacking.empty() ? "" : ", ") + in_quotes(device.name) + " has no " +
                   (device.speed          ? "memory"
                    : device.memory_bytes ? "speed"
                                          : "speed and no memory") +
                   (device.speed_is_of_another_model ? " with this model, only with another" : "");
      }
    if (!lacking.empty())
      throw Fault(FaultKind::input, lacking, Fix{doctor() + " measure it, or write it here"},
                  file_line(cluster_, line));
  }

  void add(const HostSpec& host, const DeviceSpec& spec) {
    PlanDevice device;
    device.name = spec.name;
    device.device = spec.device;
    device.threads = spec.threads;
    device.host = problem_.hosts.size();
    const DeviceSpeed speed = spec.speed.value_or(DeviceSpeed{});
    device.layer_ms = layer_ms(source_, {speed.sliding_layer_ms, speed.full_layer_ms});
    device.message_ms = speed.message_ms;
    device.head_ms = speed.head_ms;
    device.memory_bytes = spec.memory_bytes;
    if (spec.memory_source == Source::measured) device.memory_bytes *= 1 - kHeadroom;
    const auto key = std::pair(spec.device.substr(0, spec.device.find(':')), spec.threads);
    if (!needs_.count(key)) needs_[key] = needs_of(source_, problem_.frame, spec);
    const Needs& needs = needs_[key];
    device.layer_bytes = needs.layers;
    device.stage_bytes = needs.stage;
    device.head_bytes = needs.head;
    const bool here = takes_part(host, spec, ask_);
    device.may_be_head = here && spec.may_be_head && host.trusted && speed.head_ms > 0;
    device.may_hold_layers = here && spec.may_hold_layers;
    problem_.devices.push_back(std::move(device));
  }

  const LinkSpec* link(int from, int to) const {
    const auto is_it = [&](const LinkSpec& each) {
      return each.from == problem_.hosts[from] && each.to == problem_.hosts[to];
    };
    const auto found = std::find_if(cluster_.links.begin(), cluster_.links.end(), is_it);
    if (found != cluster_.links.end()) return &*found;
    return from != to && cluster_.network ? &*cluster_.network : nullptr;
  }

  std::string doctor() const {
    return "let potluck doctor --cluster " + cluster_.file + " --write";
  }

  void check_links() const {
    std::string lacking;
    const int hosts = problem_.hosts.size();
    for (int from = 0; from < hosts; ++from)
      for (int to = 0; to < hosts; ++to)
        if (from != to && !link(from, to))
          lacking += (lacking.empty() ? "" : ", ") + in_quotes(problem_.hosts[from]) + " to " +
                     in_quotes(problem_.hosts[to]);
    if (!lacking.empty())
      throw Fault(FaultKind::input, "no link is known from " + lacking,
                  Fix{doctor() + " measure it, or write network: {bandwidth: 1gbit}"},
                  cluster_.file);
  }

  static LinkSpeed speed_of(const LinkSpec* spec) {
    return spec ? LinkSpeed{spec->latency_ms, spec->mbit_per_s} : kSameHost;
  }

  HostHop hop(int from, int to) const {
    const ModelSpec& model = source_.spec();
    const LinkSpec* spec = link(from, to);
    const LinkSpeed speed = speed_of(spec);
    const uint64_t wide = hop_bytes(model, problem_.frame.stream, model.canvas);
    const uint64_t narrow = hop_bytes(model, DType::q8_0, model.canvas);
    HostHop made{arrival_ms(speed, wide), wire_ms(speed, wide), arrival_ms(speed, wide), false};
    if (spec && spec->may_be_lossy && arrival_ms(speed, narrow) < (1 - kNarrowPays) * made.ms)
      made = {arrival_ms(speed, narrow), wire_ms(speed, narrow), made.wide_ms, true};
    return made;
  }

  // The host that is named, or the first one that is this machine, or the first.
  int coordinator() const {
    for (size_t i = 0; i < cluster_.hosts.size(); ++i)
      if (cluster_.coordinator.empty() ? cluster_.hosts[i].ssh.empty()
                                       : cluster_.hosts[i].name == cluster_.coordinator)
        return i;
    return 0;
  }

  void add_hops() {
    const int hosts = problem_.hosts.size(), coordinator_host = coordinator();
    const ModelSpec& model = source_.spec();
    for (int from = 0; from < hosts; ++from) {
      std::vector<HostHop>& row = problem_.hops.emplace_back();
      for (int to = 0; to < hosts; ++to) row.push_back(hop(from, to));
      problem_.coordinator_ms.push_back(
          arrival_ms(speed_of(link(coordinator_host, from)), denoise_bytes(model)) +
          arrival_ms(speed_of(link(from, coordinator_host)), candidates_bytes(model)));
    }
  }

  void place_head() {
    if (cluster_.head.empty()) return;
    problem_.head = problem_.device_named(cluster_.head);
    if (problem_.head >= 0 && problem_.devices[problem_.head].may_be_head) return;
    throw Fault(
        FaultKind::input, "the head is to be " + in_quotes(cluster_.head) + ", which may not be it",
        Fix{"name a device that takes part, is no spare, has a speed of the head, and whose "
            "host is trusted"},
        cluster_.file);
  }

  const ClusterSpec& cluster_;
  const ModelSource& source_;
  const PlanAsk& ask_;
  PlanProblem problem_;
  std::map<std::pair<std::string, int>, Needs> needs_;  // by kind of device and threads
};

}  // namespace

int PlanProblem::device_named(const std::string& name) const {
  const auto found = std::find_if(devices.begin(), devices.end(),
                                  [&](const PlanDevice& device) { return device.name == name; });
  return found == devices.end() ? -1 : found - devices.begin();
}

PlanProblem PlanProblem::without(const std::vector<int>& lost) const {
  PlanProblem left = *this;
  for (const int device : lost)
    left.devices[device].may_be_head = left.devices[device].may_hold_layers = false;
  if (head >= 0 && !left.devices[head].may_be_head) left.head = -1;
  return left;
}

PlanProblem make_problem(const ClusterSpec& cluster, const ModelSource& source,
                         const PlanAsk& ask) {
  return ProblemMaker(cluster, source, ask).make();
}

}  // namespace potluck
