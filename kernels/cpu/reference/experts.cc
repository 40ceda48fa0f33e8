// Experts (model.md §2.4).
#include <algorithm>
#include <cstring>

#include "kernels/cpu/machine/arena.h"
#include "kernels/cpu/reference/expert_groups.h"
#include "kernels/cpu/reference/reference.h"

namespace potluck::cpu {
namespace {

// Scratch of experts(), carved out of one block.
struct ExpertScratch {
  ExpertGroups groups;
  float* gathered;  // [slots, H] grouped inputs, then outputs
  float* inner;     // [slots, 2 · inner]
  float* panel;     // of matmul, a thread
};

ExpertScratch carve(const ExpertsView& view, int64_t rows, int threads, Arena& arena) {
  const auto slots = static_cast<size_t>(rows * view.used);
  ExpertScratch s;
  s.groups = carve_groups(slots, view.experts, arena);
  s.gathered = arena.take<float>(slots * static_cast<size_t>(view.hidden));
  s.inner = arena.take<float>(slots * static_cast<size_t>(2 * view.inner));
  s.panel = arena.take<float>(matmul_scratch(std::max(view.hidden, view.inner)) *
                              static_cast<size_t>(threads));
  return s;
}

// gathered → inner → gathered, for one expert's rows.
void run_expert(const ExpertsView& view, int e, const ExpertScratch& s, ThreadPool& pool) {
  const int64_t first = s.groups.begin[e], rows = s.groups.rows(e);
  if (rows == 0) return;
  float* x = s.gathered + first * view.hidden;
  float* inner = s.inner + first * 2 * view.inner;
  const WeightView gate_up = view.gate_up.slice(e * 2 * view.inner, 2 * view.inner);
  matmul(x, view.hidden, rows, gate_up, inner, 2 * view.inner, s.panel, pool);
  gelu_mul(inner, inner + view.inner, 2 * view.inner, rows, view.inner, inner, 2 * view.inner,
           pool);
  const WeightView down = view.down.slice(e * view.hidden, view.hidden);
  matmul(inner, 2 * view.inner, rows, down, x, view.hidden, s.panel, pool);
}

}  // namespace

size_t experts_scratch(const ExpertsView& view, int64_t rows_max, int threads) {
  Arena arena(nullptr);
  carve(view, rows_max, threads, arena);
  return arena.used();
}

void experts(const float* x, int64_t rows, const ExpertsView& view, const int32_t* expert,
             const float* weight, float* out, void* scratch, ThreadPool& pool) {
  Arena arena(scratch);
  const ExpertScratch s = carve(view, rows, pool.threads(), arena);
  const int64_t hidden = view.hidden;
  group_by_expert(expert, view.experts, s.groups);
  for (int64_t i = 0; i < s.groups.slots; ++i)
    std::memcpy(s.gathered + i * hidden, x + s.groups.order[i] / view.used * hidden,
                static_cast<size_t>(hidden) * sizeof(float));
  for (int e = 0; e < view.experts; ++e) run_expert(view, e, s, pool);
  sum_slots(s.groups, s.gathered, weight, rows, view.used, hidden, out, pool);
}

}  // namespace potluck::cpu
