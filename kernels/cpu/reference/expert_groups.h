// The (row, k) slots of a routed pass, grouped by expert, for the reference and the fast experts
// alike.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/machine/arena.h"
#include "kernels/cpu/machine/thread_pool.h"
#include "kernels/cpu/reference/rows.h"

namespace potluck::cpu {

struct ExpertGroups {
  int64_t slots;   // rows · k
  int32_t* order;  // [slots] the slot at each grouped place; rows in order within an expert
  int32_t* place;  // [slots] the grouped place of each slot
  int32_t* begin;  // [experts + 1] where an expert's places begin
  int64_t rows(int64_t expert) const { return begin[expert + 1] - begin[expert]; }
};

ExpertGroups take_groups(size_t slots, int experts, Arena& arena);
void group_by_expert(const int32_t* expert, int experts, const ExpertGroups& groups);

// out[t,:] = Σ_k weight[t,k] · outputs[place of (t,k),:], in the order of each token's own k; out:
// [rows, outputs.stride].
void sum_slots(const ExpertGroups& groups, ConstRows outputs, const float* weight, int64_t rows,
               float* out, ThreadPool& pool);

}  // namespace potluck::cpu
