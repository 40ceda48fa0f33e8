// TimedDriver measures every kernel that is launched one by one, by an event before and after it.
#pragma once

#include <array>
#include <utility>
#include <vector>

#include "tests/gpu_check/forwarding_driver.h"

namespace potluck {

struct KernelTime {
  double seconds = 0;
  int launches = 0;
};
using KernelTimes = std::array<KernelTime, std::size(gpu::kKernels)>;  // by gpu::Kernel

class TimedDriver final : public ForwardingDriver {
 public:
  explicit TimedDriver(std::shared_ptr<GpuDriver> below);
  ~TimedDriver() override;

  using ForwardingDriver::launch;
  using ForwardingDriver::wait;
  void launch(const GpuLaunch& launch, GpuStream stream) override;
  void wait(GpuStream stream) override;

  // Returns what ran, and was waited for, since the last take().
  KernelTimes take() { return std::exchange(times_, {}); }

 private:
  struct Running {
    gpu::Kernel kernel;
    GpuEvent begin, end;
  };
  GpuEvent next_event();

  std::vector<Running> running_;
  std::vector<GpuEvent> events_;  // that no kernel uses
  KernelTimes times_;
};

}  // namespace potluck
