// Router and experts (model.md §2.4).
#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "kernels/cpu/exact_math.h"
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
  int32_t* order;   // [rows · k] positions in the (row, k) table, grouped by expert
  int32_t* begin;   // [experts + 1]
  float* gathered;  // [rows · k, H]
  float* inner;     // [rows · k, 2 · inner]
  float* outputs;   // [rows · k, H], at the place of its (row, k)
  float* panel;     // of matmul, a thread
};

size_t padded(size_t bytes) {
  return (bytes + 63) / 64 * 64;
}

struct ScratchSizes {
  size_t order, begin, gathered, inner, panel;
};

ScratchSizes scratch_sizes(const ExpertsView& view, int64_t rows, int threads) {
  const auto slots = static_cast<size_t>(rows * view.used);
  const auto columns = static_cast<size_t>(std::max(view.hidden, view.inner));
  return {padded(slots * 4), padded(static_cast<size_t>(view.experts + 1) * 4),
          padded(slots * static_cast<size_t>(view.hidden) * 4),
          padded(slots * static_cast<size_t>(2 * view.inner) * 4),
          padded(matmul_scratch(static_cast<int64_t>(columns)) * static_cast<size_t>(threads) * 4)};
}

ExpertScratch carve(const ScratchSizes& sizes, void* scratch) {
  auto* p = static_cast<std::byte*>(scratch);
  const auto take = [&](size_t bytes) { return std::exchange(p, p + bytes); };
  ExpertScratch s;
  s.order = reinterpret_cast<int32_t*>(take(sizes.order));
  s.begin = reinterpret_cast<int32_t*>(take(sizes.begin));
  s.gathered = reinterpret_cast<float*>(take(sizes.gathered));
  s.inner = reinterpret_cast<float*>(take(sizes.inner));
  s.outputs = reinterpret_cast<float*>(take(sizes.gathered));
  s.panel = reinterpret_cast<float*>(take(sizes.panel));
  return s;
}

// Counting sort of the (row, k) slots by expert, rows in order within each.
void group(const int32_t* expert, int64_t slots, int experts, const ExpertScratch& s) {
  std::fill(s.begin, s.begin + experts + 1, 0);
  for (int64_t i = 0; i < slots; ++i) ++s.begin[expert[i] + 1];
  for (int e = 0; e < experts; ++e) s.begin[e + 1] += s.begin[e];
  for (int64_t i = 0; i < slots; ++i) s.order[s.begin[expert[i]]++] = static_cast<int32_t>(i);
  for (int e = experts; e > 0; --e) s.begin[e] = s.begin[e - 1];
  s.begin[0] = 0;
}

// gathered → inner → gathered, for one expert's rows.
void run_expert(const ExpertsView& view, int e, const ExpertScratch& s, ThreadPool& pool) {
  const int64_t first = s.begin[e], rows = s.begin[e + 1] - first;
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

size_t route_scratch(int64_t rows, int64_t hidden, int64_t experts) {
  return static_cast<size_t>(rows * (hidden + experts)) + matmul_scratch(hidden) * 64;
}

void route(const float* x, int64_t rows, int64_t hidden, const RouterView& router, int32_t* expert,
           float* weight, float* scratch, ThreadPool& pool) {
  const int64_t experts = router.projection.rows;
  CHECK(pool.threads() <= 64, pool.threads());
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
  const ScratchSizes s = scratch_sizes(view, rows_max, threads);
  return s.order + s.begin + 2 * s.gathered + s.inner + s.panel;
}

void experts(const float* x, int64_t rows, const ExpertsView& view, const int32_t* expert,
             const float* weight, float* out, void* scratch, ThreadPool& pool) {
  const ExpertScratch s = carve(scratch_sizes(view, rows, pool.threads()), scratch);
  const int64_t slots = rows * view.used, hidden = view.hidden;
  const size_t row_size = static_cast<size_t>(hidden) * sizeof(float);
  group(expert, slots, view.experts, s);
  for (int64_t i = 0; i < slots; ++i)
    std::memcpy(s.gathered + i * hidden, x + s.order[i] / view.used * hidden, row_size);
  for (int e = 0; e < view.experts; ++e) run_expert(view, e, s, pool);
  for (int64_t i = 0; i < slots; ++i)
    std::memcpy(s.outputs + s.order[i] * hidden, s.gathered + i * hidden, row_size);
  for (int64_t t = 0; t < rows; ++t)
    for (int64_t i = 0; i < hidden; ++i) {
      float sum = 0;
      for (int k = 0; k < view.used; ++k) {
        const int64_t slot = t * view.used + k;
        sum += weight[slot] * s.outputs[slot * hidden + i];
      }
      out[t * hidden + i] = sum;
    }
}

}  // namespace potluck::cpu
