// The CPU of a step bench. A part's limit is that of its products and of each kind of its bytes, at
// rates that all threads reach together.
#pragma once

#include "backends/cpu/cpu_backend.h"
#include "cluster/bench/step/device.h"

namespace potluck {

class CpuDevice final : public BenchDevice {
 public:
  explicit CpuDevice(const StepBenchOptions& options);

  Backend& backend() override { return backend_; }
  std::unique_ptr<Stopwatch> new_stopwatch() override;
  bool is_slowed_by_marks() const override { return false; }
  void describe(StepBench& bench) const override;
  LoadRates load_rates(const ModelSource& source, bool cold) override;
  double stored_bytes(const StepBench& bench) const override;
  void judge(const std::vector<StepWork>& steps, StepBench& bench) override;

 private:
  CpuBackend backend_;
};

}  // namespace potluck
