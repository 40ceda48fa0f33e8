// potluck bench step: what a denoising step costs, part by part.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "backends/backend.h"
#include "cluster/bench/step/report.h"
#include "cluster/cli/commands.h"
#include "cluster/cli/flag_checks.h"
#include "topology/base/clock.h"
#include "topology/base/fault.h"
#include "topology/base/version.h"
#include "topology/plan/plan.h"

namespace potluck {
namespace {

constexpr uint64_t kRepetitionsMax = 1000;

struct Flags {
  std::string model, precision = "fast", output = "md";
  StepBenchOptions bench{.prompts = {32}};
};

std::string software() {
  const std::string commit = POTLUCK_COMMIT;
  return kSoftware + (commit.empty() ? "" : " (" + commit + ")");
}

std::string text_of(const StepBench& bench, const Flags& flags) {
  const BenchLabel label{utc_date(), software(), flags.model};
  if (flags.output == "csv") return step_bench_csv(bench, flags.bench, label);
  if (flags.output == "md") return step_bench_markdown(bench, flags.bench, label);
  const auto replace = nlohmann::ordered_json::error_handler_t::replace;  // of a model's name
  return step_bench_json(bench, flags.bench, label).dump(-1, ' ', false, replace) + "\n";
}

int run(Flags flags, const ModelPlaces& places) {
  if (flags.precision == "exact" && !flags.bench.isa.empty())
    throw Fault(FaultKind::input, "--precision exact is the same on every isa; leave --isa");
  flags.bench.precision = flags.precision == "fast" ? Precision::fast : Precision::exact;
  const auto source = open_model(flags.model, places);
  std::fputs(text_of(bench_step(*source, flags.bench), flags).c_str(), stdout);
  return 0;
}

}  // namespace

void add_bench_step(CLI::App* bench, CommandLine& line) {
  const auto flags = std::make_shared<Flags>();
  CLI::App* sub = bench->add_subcommand(
      "step",
      "one denoising step by parts, head and stages in this process: ms, GFLOP/s, GB/s, and the "
      "share of what this machine was seen to do in the same run; load and encode beside it");
  sub->add_option("-m,--model", flags->model, "the model, as for run")
      ->required()
      ->type_name("MODEL");
  whole_number(sub->add_option("-p,--prompt", flags->bench.prompts,
                               "tokens encoded before the canvas; a run each: 32,2000 (default: "
                               "32)")
                   ->delimiter(','),
               "N,N", 0, kMostInt);
  whole_number(sub->add_option("--canvases", flags->bench.canvases,
                               "so many in one pass, each behind the prompt (default: 1)"),
               "N", 1, kMaxSegments);
  whole_number(sub->add_option("-r,--repetitions", flags->bench.repetitions,
                               "of each encode and step, after a warm-up (default: 5)"),
               "N", 1, kRepetitionsMax);
  whole_number(
      sub->add_option("-t,--threads", flags->bench.threads, "CPU threads (default: all cores)"),
      "N", 1, kThreadsMax);
  whole_number(sub->add_option("--stages", flags->bench.stages,
                               "split the layers over N stages, with hops between (default: 1)"),
               "N", 1, kMaxStages);
  one_of(sub->add_option("--precision", flags->precision,
                         "of products: fast (default) or exact (the reference)"),
         {"fast", "exact"});
  sub->add_option("--isa", flags->bench.isa,
                  "of fast products: amx, avx512, avx2 or portable (default: the best here)")
      ->type_name("ISA");
  sub->add_flag("--cold", flags->bench.cold,
                "load from where the file lies, as after a boot, not from the system's cache");
  one_of(sub->add_option("-o,--output", flags->output,
                         "a row a run: Markdown with a table of parts (default), JSON or CSV"),
         {"md", "json", "csv"});
  sub->callback([&line, flags] {
    line.chosen = [flags, places = line.places] { return run(*flags, places); };
  });
}

}  // namespace potluck
