// The fast experts: each expert's rows meet its panels once, gate and up in one task.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/machine/isa.h"
#include "kernels/cpu/machine/thread_pool.h"
#include "kernels/cpu/reference/experts.h"

namespace potluck::cpu {

// Says which matrices' blocks are stored panels; these lie expert by expert.
struct StoredPanels {
  bool gate_up = false, down = false;
};

struct FastExperts {
  Isa isa;
  ExpertsView view;
  StoredPanels stored;
};

size_t fast_experts_scratch(Isa isa, const ExpertsView& view, int64_t rows_max, int threads);

// As experts(). scratch is 64-byte aligned.
void fast_experts(const FastExperts& experts, const RoutedRows& in, float* out, void* scratch,
                  ThreadPool& pool);

}  // namespace potluck::cpu
