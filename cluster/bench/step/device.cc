// Chooses the bench's device by its name.
#include "cluster/bench/step/device.h"

#include "cluster/bench/step/card_device.h"
#include "cluster/bench/step/cpu_device.h"

namespace potluck {

std::unique_ptr<BenchDevice> make_bench_device(const StepBenchOptions& options) {
  if (options.device == "cpu") return std::make_unique<CpuDevice>(options);
  return std::make_unique<CardDevice>(options);
}

}  // namespace potluck
