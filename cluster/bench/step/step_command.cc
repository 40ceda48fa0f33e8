// potluck bench step: measures what a denoising step costs, part by part.
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
#include "topology/model/locator.h"
#include "topology/plan/plan.h"

namespace potluck {
namespace {

constexpr uint64_t kRepetitionsMax = 1000;

struct StepFlags {
  std::string model, precision = "fast", output = "md";
  StepBenchOptions bench{.prompts = {32}};
};

std::string software() {
  const std::string commit = POTLUCK_COMMIT;
  return kSoftware + (commit.empty() ? "" : " (" + commit + ")");
}

std::string text_of(const StepBench& bench, const StepFlags& flags) {
  const BenchLabel label{utc_date(), software(), flags.model};
  if (flags.output == "csv") return step_bench_csv(bench, flags.bench, label);
  if (flags.output == "md") return step_bench_markdown(bench, flags.bench, label);
  const auto replace = nlohmann::ordered_json::error_handler_t::replace;  // of a model's name
  return step_bench_json(bench, flags.bench, label).dump(-1, ' ', false, replace) + "\n";
}

int run_step(StepFlags flags, const ModelPlaces& places) {
  if (flags.precision == "exact" && !flags.bench.isa.empty())
    throw Fault(FaultKind::input, "--precision exact is the same on every isa; leave out --isa");
  if (flags.bench.device != "cpu" && (flags.bench.threads || !flags.bench.isa.empty()))
    throw Fault(FaultKind::input,
                "--threads and --isa say how a CPU computes; leave them out with "
                "--device " +
                    flags.bench.device);
  flags.bench.precision = flags.precision == "fast" ? Precision::fast : Precision::exact;
  const auto source = open_model(flags.model, places);
  std::fputs(text_of(bench_step(*source, flags.bench), flags).c_str(), stdout);
  return 0;
}

}  // namespace

void add_bench_step(CLI::App* bench, CommandLine& line) {
  const auto flags = std::make_shared<StepFlags>();
  CLI::App* sub = bench->add_subcommand(
      "step",
      "time a denoising step by its parts, beside what this machine can do, and loading and "
      "encoding");
  sub->add_option("-m,--model", flags->model, "the model (see run --help)")
      ->required()
      ->type_name("MODEL");
  whole_number(sub->add_option("-p,--prompt", flags->bench.prompts,
                               "tokens encoded before the canvas; 32,2000 makes two runs (default: "
                               "32)")
                   ->delimiter(','),
               "N,N", 0, kMostInt);
  whole_number(sub->add_option("--canvases", flags->bench.canvases,
                               "canvases in one pass, each behind the prompt (default: 1)"),
               "N", 1, kMaxSegments);
  whole_number(sub->add_option("-r,--repetitions", flags->bench.repetitions,
                               "how often to time each encode and step (default: 5)"),
               "N", 1, kRepetitionsMax);
  sub->add_option("--device", flags->bench.device,
                  "the device that computes: cpu (default), cuda:N or hip:N (potluck devices lists "
                  "them)")
      ->type_name("DEVICE");
  whole_number(
      sub->add_option("-t,--threads", flags->bench.threads, "CPU threads (default: all cores)"),
      "N", 1, kThreadsMax);
  whole_number(
      sub->add_option("--stages", flags->bench.stages,
                      "split the layers over N stages, with hops between them (default: 1)"),
      "N", 1, kMaxStages);
  one_of(sub->add_option("--precision", flags->precision,
                         "matrix products: fast (default), or exact as in the reference"),
         {"fast", "exact"});
  sub->add_option(
         "--isa", flags->bench.isa,
         "instruction set of fast products: amx, avx512, avx2 or portable (default: the best "
         "here)")
      ->type_name("ISA");
  sub->add_flag("--ranges", flags->bench.ranges, kRangesHelp);
  sub->add_flag("--cold", flags->bench.cold,
                "load from where the file lies, not from the system's cache, as after a boot");
  one_of(
      sub->add_option("-o,--output", flags->output,
                      "Markdown with a table of parts (default), JSON or CSV; a row for each run"),
      {"md", "json", "csv"});
  sub->callback([&line, flags] {
    line.chosen = [flags, places = line.places] { return run_step(*flags, places); };
  });
}

}  // namespace potluck
