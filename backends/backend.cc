#include "backends/backend.h"

#include "backends/cpu_backend.h"
#include "topology/fault.h"

namespace potluck {

std::unique_ptr<Backend> make_backend(const std::string& device, int threads) {
  if (device == "cpu") return std::make_unique<CpuBackend>(threads);
  throw Fault(FaultKind::input, "device \"" + device + "\" is not in this build, which has: cpu");
}

}  // namespace potluck
