#include "backends/backend.h"
#include "backends/cpu/cpu_backend.h"
#include "topology/base/fault.h"

namespace potluck {

cpu::Isa isa_of(const BackendOptions& options) {
  if (options.precision == Precision::exact) return cpu::Isa::portable;
  if (options.isa.empty()) return cpu::best_isa();
  const auto isa = cpu::isa_from_name(options.isa);
  if (!isa)
    throw Fault(FaultKind::input,
                "isa \"" + options.isa + "\" is unknown; there are " + cpu::isa_names());
  if (!cpu::isa_available(*isa))
    throw Fault(FaultKind::input, "isa \"" + options.isa +
                                      "\" is not on this machine, whose best is " +
                                      cpu::isa_name(cpu::best_isa()));
  return *isa;
}

std::unique_ptr<Backend> make_backend(const std::string& device, const BackendOptions& options) {
  if (device == "cpu")
    return std::make_unique<CpuBackend>(options.threads, isa_of(options), options.pin);
  throw Fault(FaultKind::input, "device \"" + device + "\" is not in this build, which has: cpu");
}

std::unique_ptr<Backend> make_backend(const std::string& device, int threads) {
  return make_backend(device, BackendOptions{.threads = threads});
}

}  // namespace potluck
