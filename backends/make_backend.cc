// Chooses the implementation of Backend by the device's name.
#include "backends/make_backend.h"

#include "backends/cpu/cpu_backend.h"
#include "topology/base/fault.h"

namespace potluck {

std::unique_ptr<Backend> make_backend(const DeviceOptions& options) {
  if (options.device == "cpu")
    return std::make_unique<CpuBackend>(options.cpu.threads, isa_of(options.cpu, options.precision),
                                        options.cpu.pin);
  throw Fault(FaultKind::input,
              "device \"" + options.device + "\" is not in this build, which has: cpu");
}

}  // namespace potluck
