// potluck doctor: says what this machine can do in a ring, measured, and what stands in its way.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cluster/cli/commands.h"
#include "cluster/cli/flag_checks.h"
#include "cluster/cli/json_line.h"
#include "cluster/planning/cluster_check.h"
#include "cluster/planning/cluster_text.h"
#include "cluster/planning/host_report.h"
#include "cluster/planning/host_text.h"
#include "cluster/planning/orders.h"
#include "cluster/ring/remote_shell.h"
#include "topology/cluster/cluster_measured.h"
#include "topology/cluster/cluster_yaml.h"
#include "topology/plan/plan.h"

namespace potluck {
namespace {

constexpr int kFound = 1;  // something that keeps a ring from working

struct DoctorFlags {
  std::string model, cluster, ssh;
  int threads = 0;
  bool fresh = false, json = false, write = false, orders = false;
};

HostPlaces places_of(const CommandLine& line) {
  return {line.places, line.config, line.cache};
}

void print_lines(const std::vector<std::string>& lines) {
  for (const std::string& text : lines) std::puts(text.c_str());
}

int examine_here(const DoctorFlags& flags, const HostPlaces& places) {
  HostQuestion question;
  question.model = flags.model;
  question.fresh = flags.fresh;
  question.threads = flags.threads;
  const nlohmann::ordered_json report = host_report(question, places);
  const std::vector<Finding> findings = findings_of(report);
  if (flags.json) {
    std::puts(json_line(report).c_str());
  } else {
    print_lines(host_lines(report));
    print_lines(finding_lines(findings));
  }
  return has_problem(findings) ? kFound : 0;
}

int examine_cluster(const DoctorFlags& flags, const CommandLine& line) {
  ClusterSpec cluster = read_cluster(flags.cluster);
  CheckOptions options;
  options.program = line.program;
  options.places = line.places;
  options.ssh = flags.ssh;
  options.model = flags.model;
  options.fresh = flags.fresh;
  options.say = [](const std::string& text) { std::fprintf(stderr, "%s\n", text.c_str()); };
  const ClusterReport report = check_cluster(cluster, options);
  if (flags.json)
    std::puts(json_line(cluster_json(cluster, report)).c_str());
  else
    print_lines(cluster_lines(cluster, report));
  if (flags.write) {
    take_measured(report, cluster);
    write_measured(flags.cluster, cluster);
  }
  return has_problem(report.findings) ? kFound : 0;
}

int run_doctor(const DoctorFlags& flags, const CommandLine& line) {
  if (flags.orders) return take_orders(places_of(line));
  return flags.cluster.empty() ? examine_here(flags, places_of(line))
                               : examine_cluster(flags, line);
}

}  // namespace

void add_doctor(CommandLine& line) {
  const auto flags = std::make_shared<DoctorFlags>();
  CLI::App* sub = line.app.add_subcommand(
      "doctor", "measure this machine or a cluster, and say what stands in the way of a ring");
  model_name(sub->add_option(
      "-m,--model", flags->model,
      "the model to measure with (default: made-up weights of the released one's shapes)"));
  CLI::Option* cluster =
      sub->add_option("-f,--cluster", flags->cluster,
                      "ask the hosts of this cluster file, and measure the links between them");
  file_name(cluster->type_name("FILE"));
  sub->add_option("--ssh", flags->ssh, kRemoteShellHelp)->type_name("CMD")->needs(cluster);
  sub->add_flag("--write", flags->write,
                "write what was measured into the cluster file, for plan and up")
      ->needs(cluster);
  CLI::Option* threads =
      sub->add_option("-t,--threads", flags->threads, "CPU threads (default: one for each core)");
  whole_number(threads->excludes(cluster), "N", 1, kThreadsMax);
  sub->add_flag("--fresh", flags->fresh, "measure again what is known from before");
  sub->add_flag("--json", flags->json, "print one JSON object");
  sub->add_flag("--orders", flags->orders, "take orders from the doctor of another host, on stdin");
  sub->callback(
      [&line, flags] { line.chosen = [&line, flags] { return run_doctor(*flags, line); }; });
}

}  // namespace potluck
