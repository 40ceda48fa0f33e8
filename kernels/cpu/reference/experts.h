// The experts of a layer (shard/MODEL.md §2.4).
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/machine/thread_pool.h"
#include "kernels/cpu/reference/weight_view.h"

namespace potluck::cpu {

struct ExpertsView {
  WeightView gate_up;  // [experts · 2·inner, H], gate rows first in each expert
  WeightView down;     // [experts · H, inner]
  int experts = 0;
  int used = 0;  // k
  int64_t inner = 0;
  int64_t hidden = 0;  // H
};

// Rows and the experts that the router gave them.
struct RoutedRows {
  const float* x;  // [rows, H]
  int64_t rows;
  const int32_t* expert;  // [rows, k]
  const float* weight;    // [rows, k]
};

size_t experts_scratch(const ExpertsView& experts, int64_t rows_max, int threads);  // bytes

// out[t,:] = Σ_k weight[t,k] · down[e](gelu(gate) ⊙ up),  [gate; up] = gate_up[e] · x[t,:],  e =
// expert[t,k]. Rows are grouped by expert; each token's sum runs in the order of its own k.
void experts(const RoutedRows& in, const ExpertsView& view, float* out, void* scratch,
             ThreadPool& pool);

}  // namespace potluck::cpu
