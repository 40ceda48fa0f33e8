// Holds the workers of a plan that share this machine's memory against what is free of it: each of
// them sees all of that, and takes its part at the same time as the others.
#pragma once

#include <cstdint>

#include "topology/model/model_source.h"
#include "topology/plan/plan.h"

namespace potluck {

// threads: of each worker whose plan does not say; 0: a thread for each core. Throws Fault{memory}
// if the workers that are started here and compute on the CPU need more than `free` bytes together.
void check_local_memory(const ModelSource& source, Plan plan, int threads, uint64_t free);

}  // namespace potluck
