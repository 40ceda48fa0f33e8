// Router and experts (model.md §2.4).
#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/cpu/arena.h"
#include "kernels/cpu/exact_math.h"
#include "kernels/cpu/expert_groups.h"
#include "kernels/cpu/reference.h"
#include "topology/check.h"

namespace potluck::cpu {
namespace {

// The k largest of p (ties: lowest index) in falling order, normalised and scaled.
void choose(float* p, int64_t experts, const RouterView& router, int32_t* expert, float* weight) {
  float sum = 0;
  for (int k = 0; k < router.used; ++k) {
    int64_t best = 0;
    for (int64_t e = 1; e < experts; ++e)
      if (p[e] > p[best]) best = e;
    expert[k] = static_cast<int32_t>(best);
    weight[k] = p[best];
    sum += p[best];
    p[best] = -1.0f;  // taken
  }
  for (int k = 0; k < router.used; ++k)
    weight[k] = weight[k] / sum * router.per_expert_scale[expert[k]];
}

void softmax(float* p, int64_t n) {
  const float most = *std::max_element(p, p + n);
  float sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += p[i] = exact_exp(p[i] - most);
  for (int64_t i = 0; i < n; ++i) p[i] /= sum;
}

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

size_t route_scratch(int64_t rows, int64_t hidden, int64_t experts, int threads) {
  return static_cast<size_t>(rows * (hidden + experts)) +
         matmul_scratch(hidden) * static_cast<size_t>(threads);
}

void route(const float* x, int64_t rows, int64_t hidden, const RouterView& router, int32_t* expert,
           float* weight, float* scratch, ThreadPool& pool) {
  const int64_t experts = router.projection.rows;
  float* r = scratch;
  float* p = r + rows * hidden;
  float* panel = p + rows * experts;
  const float factor = 1.0f / std::sqrt(static_cast<float>(hidden));
  rms_norm(x, nullptr, router.eps, rows, hidden, r, pool);
  for (int64_t t = 0; t < rows; ++t)
    for (int64_t i = 0; i < hidden; ++i) r[t * hidden + i] *= router.scale[i] * factor;
  matmul(r, hidden, rows, router.projection, p, experts, panel, pool);
  for (int64_t t = 0; t < rows; ++t) {
    softmax(p + t * experts, experts);
    choose(p + t * experts, experts, router, expert + t * router.used, weight + t * router.used);
  }
}

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
