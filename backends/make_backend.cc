// Chooses the implementation of Backend by the device's name.
#include "backends/make_backend.h"

#include "backends/cpu/cpu_backend.h"
#include "backends/gpu/gpu_backend.h"
#include "backends/gpu/open_card.h"

namespace potluck {

std::unique_ptr<Backend> make_backend(const DeviceOptions& options) {
  if (options.device == "cpu")
    return std::make_unique<CpuBackend>(options.cpu.threads, isa_of(options.cpu, options.precision),
                                        options.cpu.pin);
  return std::make_unique<GpuBackend>(
      open_card(options.device),
      GpuOptions{.name = options.device, .precision = options.precision, .ranges = options.ranges});
}

}  // namespace potluck
