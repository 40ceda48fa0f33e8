// potluck doctor: says what this machine can do in a ring, measured, and what stands in its way.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cluster/cli/commands.h"
#include "cluster/cli/flag_checks.h"
#include "cluster/cli/json_line.h"
#include "cluster/planning/host_report.h"
#include "cluster/planning/host_text.h"
#include "topology/plan/plan.h"

namespace potluck {
namespace {

constexpr int kFound = 1;  // something that keeps a ring from working

struct Flags {
  std::string model;
  int threads = 0;
  bool fresh = false, json = false;
};

HostPlaces places_of(const CommandLine& line) {
  return {line.places, line.config, line.cache};
}

int examine_here(const Flags& flags, const HostPlaces& places) {
  HostQuestion question;
  question.model = flags.model;
  question.fresh = flags.fresh;
  question.threads = flags.threads;
  const nlohmann::ordered_json report = host_report(question, places);
  const std::vector<Finding> findings = findings_of(report);
  if (flags.json) {
    std::puts(json_line(report).c_str());
  } else {
    for (const std::string& text : host_lines(report)) std::puts(text.c_str());
    for (const std::string& text : finding_lines(findings)) std::puts(text.c_str());
  }
  return has_problem(findings) ? kFound : 0;
}

}  // namespace

void add_doctor(CommandLine& line) {
  const auto flags = std::make_shared<Flags>();
  CLI::App* sub = line.app.add_subcommand(
      "doctor", "measure this machine, and say what stands in the way of a ring");
  sub->add_option("-m,--model", flags->model,
                  "the model to measure with (default: the released one's shapes, made up)")
      ->type_name("MODEL");
  whole_number(
      sub->add_option("-t,--threads", flags->threads, "CPU threads (default: one for each core)"),
      "N", 1, kThreadsMax);
  sub->add_flag("--fresh", flags->fresh, "measure also what is known from before");
  sub->add_flag("--json", flags->json, "print one JSON object");
  sub->callback([&line, flags] {
    line.chosen = [&line, flags] { return examine_here(*flags, places_of(line)); };
  });
}

}  // namespace potluck
