// Writes what `up` tells people.
#include "cluster/launch/up_text.h"

#include <fmt/format.h>

#include "cluster/ring/reach_cluster.h"
#include "topology/base/text.h"

namespace potluck {
namespace {

std::string place_text(const ClusterRing& ring, const WorkerPlan& worker) {
  const auto remote = ring.remote.find(worker.name);
  return remote != ring.remote.end() ? " on " + remote->second.host
         : worker.local              ? ""
                                     : " at " + worker.endpoint;
}

std::string worker_line(const ClusterRing& ring, const WorkerPlan& worker,
                        const std::string& part) {
  return fmt::format("{}: {}{} ({})", part, worker.name, place_text(ring, worker), worker.device);
}

std::string name_flag(const UpFlags& flags) {
  return reach_words({flags.name, "", ""});
}

std::string other_commands(const UpFlags& flags) {
  std::string text =
      fmt::format("\nlook:      potluck status{0}\nend it:    potluck down{0}", name_flag(flags));
  if (flags.join)
    text += fmt::format(
        "\njoin it:   potluck token create{}, and on the other machine potluck join TOKEN",
        name_flag(flags));
  return text;
}

}  // namespace

std::vector<std::string> ring_lines(const UpPlan& up, const Plan& plan) {
  std::vector<std::string> lines = {worker_line(up.ring, plan.head, "head")};
  for (const WorkerPlan& stage : plan.stages)
    lines.push_back(worker_line(up.ring, stage, "layers " + range_text(stage.layers)));
  if (up.ring.step_ms)
    lines.push_back(fmt::format("predicted: {:.0f} ms a step", *up.ring.step_ms));
  return lines;
}

std::string up_text(const UpFlags& flags, const UpPlan& up, const Plan& plan,
                    const std::string& elsewhere) {
  std::string text = fmt::format(
      "{} is up: {} workers, {} tokens of context\n"
      "ask it:    potluck run{} -p \"Why is the sky blue?\"",
      up.model, plan.stage_count() + 1, plan.ctx_size, name_flag(flags));
  text += other_commands(flags);
  if (!elsewhere.empty()) text += "\nelsewhere: potluck run" + elsewhere + " -p …";
  return text;
}

std::string waiting_text(const UpFlags& flags, const UpPlan& up, const std::string& missing) {
  return fmt::format("{} waits for machines to join: {}", up.model, missing) +
         other_commands(flags);
}

}  // namespace potluck
