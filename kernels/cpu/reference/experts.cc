// Rows are gathered by expert, pass through it together, and are summed a token at a time.
#include "kernels/cpu/reference/experts.h"

#include <algorithm>
#include <cstring>

#include "kernels/cpu/machine/arena.h"
#include "kernels/cpu/reference/expert_groups.h"
#include "kernels/cpu/reference/gelu.h"
#include "kernels/cpu/reference/matmul.h"

namespace potluck::cpu {
namespace {

struct ExpertScratch {
  ExpertGroups groups;
  float* gathered;  // [slots, H] grouped inputs, then outputs
  float* inner;     // [slots, 2 · inner]
  float* panel;     // of matmul, a thread
};

ExpertScratch take_scratch(const ExpertsView& view, int64_t rows, int threads, Arena& arena) {
  const auto slots = rows * view.used;
  ExpertScratch s;
  s.groups = take_groups(slots, view.experts, arena);
  s.gathered = arena.take<float>(slots * view.hidden);
  s.inner = arena.take<float>(slots * 2 * view.inner);
  s.panel = arena.take<float>(matmul_scratch(std::max(view.hidden, view.inner)) * threads);
  return s;
}

// gathered → inner → gathered, for one expert's rows.
void run_expert(const ExpertsView& view, int e, const ExpertScratch& s, ThreadPool& pool) {
  const int64_t first = s.groups.begin[e], rows = s.groups.rows(e);
  if (rows == 0) return;
  float* x = s.gathered + first * view.hidden;
  float* inner = s.inner + first * 2 * view.inner;
  const WeightView gate_up = view.gate_up.slice(e * 2 * view.inner, 2 * view.inner);
  const int64_t stride = 2 * view.inner;
  matmul({x, view.hidden}, rows, gate_up, {inner, stride}, s.panel, pool);
  gelu_mul({inner, stride}, {inner + view.inner, stride}, rows, view.inner, {inner, stride}, pool);
  const WeightView down = view.down.slice(e * view.hidden, view.hidden);
  matmul({inner, stride}, rows, down, {x, view.hidden}, s.panel, pool);
}

}  // namespace

size_t experts_scratch(const ExpertsView& view, int64_t rows_max, int threads) {
  Arena arena(nullptr);
  take_scratch(view, rows_max, threads, arena);
  return arena.used();
}

void experts(const RoutedRows& in, const ExpertsView& view, float* out, void* scratch,
             ThreadPool& pool) {
  Arena arena(scratch);
  const ExpertScratch s = take_scratch(view, in.rows, pool.threads(), arena);
  const int64_t hidden = view.hidden;
  group_by_expert(in.expert, view.experts, s.groups);
  for (int64_t i = 0; i < s.groups.slots; ++i)
    std::memcpy(s.gathered + i * hidden, in.x + s.groups.order[i] / view.used * hidden,
                hidden * sizeof(float));
  for (int e = 0; e < view.experts; ++e) run_expert(view, e, s, pool);
  sum_slots(s.groups, {s.gathered, hidden}, in.weight, in.rows, out, pool);
}

}  // namespace potluck::cpu
