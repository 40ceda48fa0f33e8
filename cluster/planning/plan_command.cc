// potluck plan: says how a cluster would run a model, how fast, and whether it is worth it; from
// the cluster file and the model alone.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cluster/cli/commands.h"
#include "cluster/cli/flag_checks.h"
#include "cluster/cli/json_line.h"
#include "cluster/planning/front_report.h"
#include "cluster/planning/plan_report.h"
#include "cluster/ring/cluster_ring.h"
#include "cluster/ring/remote_shell.h"
#include "topology/base/fault.h"
#include "topology/base/utf8.h"
#include "topology/base/whole_file.h"
#include "topology/cluster/cluster_check.h"
#include "topology/cluster/cluster_yaml.h"
#include "topology/cluster/known_cards.h"
#include "topology/cluster/other_models.h"
#include "topology/cluster/plan_endpoints.h"
#include "topology/cluster/what_if.h"
#include "topology/model/locator.h"
#include "topology/model/mapped_file.h"
#include "topology/plan/plan_check.h"
#include "topology/plan/plan_yaml.h"
#include "topology/plan/plan_yaml_tree.h"
#include "topology/planner/cluster_plan.h"

namespace potluck {
namespace {

struct PlanFlags {
  std::string model, cluster, objective, emit;
  std::vector<std::string> what_ifs;
  bool json = false;
};

std::string model_of(const PlanFlags& flags, const ClusterSpec& cluster) {
  if (!flags.model.empty()) return flags.model;
  if (!cluster.model.empty()) return cluster.model;
  throw Fault(FaultKind::input, "nothing says which model to plan for",
              Fix{"write \"model: hf:OWNER/REPO\" into the file, or name one", Setting::model},
              cluster.file);
}

Fault nothing_fits(const PlanProblem& problem, const ClusterSpec& cluster) {
  const int room = layers_with_room(problem);
  return Fault(FaultKind::memory,
               fmt::format("the model does not fit: there is room for the head and {} of {} layers",
                           room, problem.layers()),
               Fix{"give devices more memory, add one, or take a smaller file of the model; try "
                   "--what-if \"add 3090@" +
                   cluster.hosts.front().name + "\""},
               cluster.file);
}

// The cluster with what-ifs and known cards put in, and without speeds of other models.
ClusterSpec changed(const ClusterSpec& given, const std::vector<std::string>& what_ifs,
                    const ModelSource& source) {
  ClusterSpec cluster = given;
  apply_what_ifs(cluster, what_ifs);
  drop_speeds_of_other_models(cluster, source);
  assume_cards(cluster, source);
  return cluster;
}

void compare(PlanReport& report, const ModelSource& source) {
  const Planned plan{report.cluster, source, report.problem, report.plan(), report.objective};
  report.alone = hosts_alone(plan);
  report.rejected = rejected(plan);
  report.improved = improved(plan);
  report.left_out = left_out(plan);
}

PlanReport report_of(const PlanFlags& flags, const ClusterSpec& given, const ModelSource& source) {
  PlanReport report;
  const std::string& objective =
      flags.objective.empty() ? given.options.objective : flags.objective;
  report.objective.throughput = objective == "throughput";
  ClusterPlan best = plan_cluster(changed(given, flags.what_ifs, source), source, report.objective);
  report.cluster = std::move(best.cluster);
  report.problem = std::move(best.problem);
  report.answer = std::move(best.answer);
  report.what_ifs = flags.what_ifs;
  report.model = one_line(source.spec().name);
  report.canvas = source.spec().canvas;
  if (!report.answer.placement) throw nothing_fits(report.problem, report.cluster);
  compare(report, source);
  if (flags.what_ifs.empty()) return report;
  const PlanAnswer before =
      plan_cluster(changed(given, {}, source), source, report.objective).answer;
  if (before.placement) report.before_ms = before.objective_ms;
  return report;
}

// Writes what run --plan takes, and says what it lacks.
void emit(const PlanFlags& flags, const PlanReport& report, const ModelSource& source) {
  if (!flags.what_ifs.empty())
    throw Fault(FaultKind::input, "--emit and --what-if contradict each other",
                Fix{"a plan for machines that are not there runs nowhere; leave one out"});
  Plan plan = plan_of(report.problem, report.plan());
  set_endpoints(plan, report.cluster);
  validate(plan, source.spec());
  for (const std::string& host : hosts_without_key(plan, report.cluster))
    std::fprintf(
        stderr,
        "%s has no \"key\" in %s, and potluck run refuses a plan without it; write there what "
        "\"potluck key\" shows on %s\n",
        host.c_str(), report.cluster.file.c_str(), host.c_str());
  write_whole_file(flags.emit, plan_yaml(plan));
  if (!std::filesystem::is_regular_file(flags.emit)) return;
  std::fprintf(stderr, "the plan is written; run it with: potluck run -m %s --plan %s\n",
               shell_word(model_of(flags, report.cluster)).c_str(), shell_word(flags.emit).c_str());
}

void print_front(const PlanFlags& flags, const ClusterSpec& given, const ModelSource& source) {
  const ClusterSpec cluster = changed(given, flags.what_ifs, source);
  const PlanProblem problem = make_problem(cluster, source, {});
  const std::vector<ParetoPoint> front = plan_pareto(problem);
  if (front.empty()) throw nothing_fits(problem, cluster);
  std::fputs(flags.json
                 ? (json_line(front_json(problem, front, source.spec().canvas)) + "\n").c_str()
                 : front_text(problem, front, source.spec().canvas).c_str(),
             stdout);
}

constexpr uint64_t kPlanBytesMost = 1 << 20;

// A plan that somebody has changed, even to one that is refused, is still a plan.
bool is_plan(const std::string& path) {
  try {
    const YamlNode root = parse_yaml(read_text_file(path, kPlanBytesMost), path);
    const auto has = [&root](const char* name) {
      return std::any_of(root.keys.begin(), root.keys.end(),
                         [name](const YamlKey& key) { return key.name == name; });
    };
    return has("version") && has("stages");
  } catch (const Fault&) {
    return false;
  }
}

// --emit may name a file that is new, empty or an older plan, or a pipe.
void check_place(const std::string& path) {
  std::error_code none;
  if (std::filesystem::is_directory(path, none))
    throw Fault(FaultKind::input, "--emit names a folder", Fix{"name a file: plan.yaml"}, path);
  if (!std::filesystem::is_regular_file(path, none)) return;
  if (std::filesystem::file_size(path, none) == 0 || is_plan(path)) return;
  throw Fault(FaultKind::input, "--emit would write over this file, which is no plan",
              Fix{"name another file, or delete this one"}, path);
}

// The planner itself names devices that are left without a speed; those with a card have one.
void say_ignored(ClusterSpec cluster, const ModelSource& source) {
  for (const std::string& name : drop_speeds_of_other_models(cluster, source)) {
    const DeviceSpec* device = find_device(cluster, name);
    if (device->card.empty() && !device->spare) continue;
    std::fprintf(stderr,
                 "the measured speed of %s is of another model and is ignored; potluck doctor "
                 "--cluster %s --write measures it with this one\n",
                 name.c_str(), cluster.file.c_str());
  }
}

void check_flags(const PlanFlags& flags) {
  if (flags.objective == "pareto" && !flags.emit.empty())
    throw Fault(FaultKind::input, "--objective pareto lists many plans, and --emit writes one",
                Fix{"choose --objective latency or throughput, or leave one of the two out"});
  if (!flags.emit.empty()) check_place(flags.emit);
}

int run_plan(const PlanFlags& flags, const ModelPlaces& places) {
  check_flags(flags);
  const ClusterSpec cluster = read_cluster(flags.cluster);
  model_of(flags, cluster);  // one is named
  const auto source = open_model_of(cluster, flags.model, places);
  if (flags.objective == "pareto") {
    print_front(flags, cluster, *source);
    return 0;
  }
  say_ignored(cluster, *source);
  const PlanReport report = report_of(flags, cluster, *source);
  if (!flags.emit.empty()) emit(flags, report, *source);
  std::fputs(flags.json ? (json_line(plan_json(report)) + "\n").c_str() : plan_text(report).c_str(),
             stdout);
  return 0;
}

}  // namespace

void add_plan(CommandLine& line) {
  const auto flags = std::make_shared<PlanFlags>();
  CLI::App* sub = line.app.add_subcommand(
      "plan", "say how a cluster would run a model, how fast, and whether it is worth it");
  file_name(
      sub->add_option("-f,--cluster", flags->cluster,
                      "the cluster file, which lists the machines (cluster/examples has some); "
                      "none of them has to be awake")
          ->required()
          ->type_name("FILE"));
  model_name(sub->add_option(
      "-m,--model", flags->model,
      "the model (default: the one that the cluster file names); where its file is not here, "
      "\"synthetic:released?type=q4_k\" stands for the released model, about as Q4_K_M"));
  one_of(sub->add_option("--objective", flags->objective,
                         "latency: the fastest step of one answer; throughput: the most steps a "
                         "second of several answers; pareto: a list of rings between the two "
                         "(default: what the cluster file says)"),
         {"latency", "throughput", "pareto"});
  file_name(sub->add_option("--emit", flags->emit, "write the plan into this file, for run --plan")
                ->type_name("FILE"));
  sub->add_option(
         "--what-if", flags->what_ifs,
         "plan as if something changed: \"add 3090@HOST\", \"link HOST-HOST 2.5gbit\", \"remove "
         "NAME\"; may be given several times")
      ->type_name("CHANGE")
      ->take_all();
  sub->add_flag("--json", flags->json, "print one JSON object");
  sub->callback([&line, flags] {
    line.chosen = [flags, places = line.places] { return run_plan(*flags, places); };
  });
}

}  // namespace potluck
