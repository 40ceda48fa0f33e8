// Which instruction sets serve on this machine and in this build: the one place that looks at the
// processor. It lives beside the products because AMX is tried with one.
#pragma once

#include "kernels/cpu/machine/isa.h"

namespace potluck::cpu {

bool isa_available(Isa isa);
Isa best_isa();  // the first that is available

}  // namespace potluck::cpu
