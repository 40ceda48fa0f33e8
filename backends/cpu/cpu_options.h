// Options of a CPU as a device: threads, instruction set, cores.
#pragma once

#include <string>

#include "kernels/cpu/machine/isa.h"
#include "topology/base/dtype.h"

namespace potluck {

struct CpuOptions {
  int threads = 0;   // 0: one for each core that this process may use
  std::string isa;   // the instruction set of fast products; empty: the best that this machine has
  bool pin = false;  // keeps each thread on a core of its own
};

// The instruction set that the options ask for; Isa::portable for exact products. Throws
// Fault{input} for an unknown one, or one that this machine does not have.
cpu::Isa isa_of(const CpuOptions& options, Precision precision);

}  // namespace potluck
