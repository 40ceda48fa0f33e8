// Opens the model and makes the plan, or finds the cluster that is up.
#include "cluster/run/backing.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "cluster/cli/interrupt.h"
#include "topology/base/fault.h"
#include "topology/cluster/cluster_yaml.h"
#include "topology/model/locator.h"

namespace potluck {
namespace {

void say(const std::string& line) {
  spdlog::info(line);
}

}  // namespace

Backing::Backing(const RunFlags& flags, const CommandLine& line, std::shared_ptr<MpiJob> job) {
  const bool names_ring = !flags.model.empty() || !flags.cluster.empty();
  if (!names_ring && !flags.ring.plan.empty())
    throw Fault(FaultKind::input, "--plan needs the model that it is for", Fix{"give -m MODEL"});
  names_ring ? open(flags, line) : reach(flags, line);
  setup_.hosts = host_setup(flags.ring, flags.cluster.empty() ? plan().stage_count() : 2);
  setup_.hosts.program = line.program;
  setup_.hosts.config = line.config;
  setup_.hosts.model = model_;
  setup_.hosts.job = std::move(job);
  setup_.hosts.remote = ring_.remote;
  setup_.hosts.yields = ring_.yields;
  setup_.hosts.ssh = flags.ssh;
  setup_.step_timeout_seconds = flags.ring.step_timeout;
  setup_.recovery = !flags.no_recovery;
  setup_.verbose = flags.log.verbose;
  setup_.cluster = ring_.cluster;
  setup_.may_begin_without = flags.ring.plan.empty();
  setup_.log = say;
  give_model(setup_.hosts, line.places, ring_.ports, say);
  setup_.warn = [](const std::string& text) { spdlog::warn(text); };
}

void Backing::open(const RunFlags& flags, const CommandLine& line) {
  ClusterSpec cluster;
  if (!flags.cluster.empty()) cluster = read_cluster(flags.cluster);
  if (!flags.model.empty()) cluster.model = flags.model;
  model_ = cluster.model;
  if (model_.empty())
    throw Fault(FaultKind::input, flags.cluster + " names no model",
                Fix{"give one", Setting::model});
  source_ = open_model_of(cluster, flags.model, line.places);
  if (flags.cluster.empty())
    ring_.plan = plan_of(*source_, flags.ring, say);
  else
    ring_ = cluster_ring(cluster, *source_, flags.ring.plan);
}

void Backing::reach(const RunFlags& flags, const CommandLine& line) {
  if (const auto why = why_not_up(flags.reach, line))
    throw Fault(FaultKind::input, "no model is named, and " + *why, Fix{"or give -m MODEL"});
  client_ = std::make_unique<RingClient>(address_of(flags.reach, line), keys_of(line),
                                         [] { return interrupt_signal() != 0; });
  const ServedModel& served = client_->served();
  model_ = served.model;
  served_ = served.spec;
  ring_.plan = served.plan;
  say(fmt::format("asking {}: {} on {} workers",
                  flags.reach.connect.empty() ? "the cluster \"" + flags.reach.name + "\""
                                              : flags.reach.connect,
                  model_, plan().stage_count() + 1));
}

const ModelSpec& Backing::spec() const {
  return client_ || !source_ ? served_ : source_->spec();
}

Vocabulary Backing::vocabulary() {
  return client_ ? client_->vocabulary() : source_->vocabulary();
}

std::vector<std::string> Backing::notes() const {
  return source_ ? source_->notes() : std::vector<std::string>{};
}

std::unique_ptr<Answerer> Backing::start() {
  if (client_) return std::move(client_);
  return std::make_unique<Ring>(source_, plan(), setup_);
}

}  // namespace potluck
