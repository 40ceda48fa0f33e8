// The card of a step bench. Its parts are timed by events on the card, and a step is timed without
// them too, as the one graph that it is outside benches. A part's limit is that of its memory bytes
// and of its fast products; what goes through caches and what is multiplied in f32 has no peak
// here.
#pragma once

#include "backends/gpu/gpu_backend.h"
#include "cluster/bench/step/device.h"

namespace potluck {

class CardDevice final : public BenchDevice {
 public:
  explicit CardDevice(const StepBenchOptions& options);

  Backend& backend() override { return backend_; }
  std::unique_ptr<Stopwatch> new_stopwatch() override;
  bool is_slowed_by_marks() const override { return true; }
  void describe(StepBench& bench) const override;
  LoadRates load_rates(const ModelSource& source, bool cold) override;
  double stored_bytes(const StepBench& bench) const override { return bench.weight_bytes; }
  void judge(const std::vector<StepWork>& steps, StepBench& bench) override;

 private:
  GpuBackend backend_;
  bool fast_;
};

}  // namespace potluck
