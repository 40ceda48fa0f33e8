// BenchDevice: what a step bench asks of the device that it measures, a CPU or a card.
#pragma once

#include <memory>
#include <vector>

#include "backends/profiled/profiled_backend.h"
#include "cluster/bench/step/step.h"

namespace potluck {

class BenchDevice {
 public:
  virtual ~BenchDevice() = default;

  virtual Backend& backend() = 0;
  virtual std::unique_ptr<Stopwatch> new_stopwatch() = 0;
  // Whether a step is slower while its parts are timed.
  virtual bool is_slowed_by_marks() const = 0;
  // Fills in what the device is called.
  virtual void describe(StepBench& bench) const = 0;
  // How fast a load could be. Throws Fault{memory | world}.
  virtual LoadRates load_rates(const ModelSource& source, bool cold) = 0;
  // The bytes that the load has stored, beside what it reads where the file has it.
  virtual double stored_bytes(const StepBench& bench) const = 0;
  // Measures the device's peaks, and sets each part of the runs beside them: steps[i] is the step
  // of bench.runs[i]. Throws Fault{memory | world}.
  virtual void judge(const std::vector<StepWork>& steps, StepBench& bench) = 0;
};

// Throws Fault for a device or an instruction set that is not here.
std::unique_ptr<BenchDevice> make_bench_device(const StepBenchOptions& options);

}  // namespace potluck
