// Writes a step bench as text, with a row for each run to paste beside others.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cluster/bench/step/step.h"

namespace potluck {

struct BenchLabel {
  std::string date;      // "2026-11-24"
  std::string software;  // "potluck 0.1.0 (1a2b3c4)"
  std::string model;     // what -m said
};

// Markdown with a table of the runs, one of the parts of each run, and the peaks.
std::string step_bench_markdown(const StepBench& bench, const StepBenchOptions& options,
                                const BenchLabel& label);
// RFC 4180, with a header and a row for each run.
std::string step_bench_csv(const StepBench& bench, const StepBenchOptions& options,
                           const BenchLabel& label);
// An array with an object for each run.
nlohmann::ordered_json step_bench_json(const StepBench& bench, const StepBenchOptions& options,
                                       const BenchLabel& label);

}  // namespace potluck
