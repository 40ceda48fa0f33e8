// Refuses weights that are not finite while a backend reads them.
#pragma once

#include "kernels/cpu/machine/thread_pool.h"
#include "kernels/cpu/reference/weight_view.h"

namespace potluck {

// Throws Fault{input} that says which block of w is not finite, its row, and the value found.
// block: as cpu::first_not_finite() counts them; −1 says that there is none.
void check_block(const cpu::WeightView& w, int64_t block);

// Reads all of w by all threads of the pool.
void check_finite(const cpu::WeightView& w, cpu::ThreadPool& pool);

}  // namespace potluck
