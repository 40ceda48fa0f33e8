// Turns the name of an instruction set into one that this machine has.
#include "backends/cpu/cpu_options.h"

#include "kernels/cpu/packed/available.h"
#include "topology/base/fault.h"

namespace potluck {

cpu::Isa isa_of(const CpuOptions& options, Precision precision) {
  if (precision == Precision::exact) return cpu::Isa::portable;
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

}  // namespace potluck
