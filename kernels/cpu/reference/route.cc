// Router (model.md §2.4): a task takes some rows all the way, while they are in its caches.
#include <algorithm>
#include <cmath>

#include "kernels/cpu/fast/fast.h"
#include "kernels/cpu/reference/dequantize.h"
#include "kernels/cpu/reference/exact_math.h"
#include "kernels/cpu/reference/products.h"
#include "kernels/cpu/reference/reference.h"

namespace potluck::cpu {
namespace {

constexpr int64_t kRowsATask = 32;  // 32 · 2816 · 4 B = 360 KB beside a panel: within L2
constexpr int64_t kPanel = 16;      // experts whose weights are widened at a time, as matmul's

using DotProducts = decltype(dot_products);

// The k largest of p (ties: lowest index) in falling order, normalised and scaled.
void choose(float* p, int64_t experts, const RouterView& router, int32_t* expert, float* weight) {
  float sum = 0;
  for (int k = 0; k < router.used; ++k) {
    const float* most = std::find(p, p + experts, most_of(p, experts));
    const int64_t best = most < p + experts ? most - p : 0;
    expert[k] = static_cast<int32_t>(best);
    weight[k] = p[best];
    sum += p[best];
    p[best] = -1.0f;  // taken
  }
  for (int k = 0; k < router.used; ++k)
    weight[k] = weight[k] / sum * router.per_expert_scale[expert[k]];
}

void softmax(float* p, int64_t n) {
  exact_exps(p, n, most_of(p, n));
  float sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += p[i];
  for (int64_t i = 0; i < n; ++i) p[i] /= sum;
}

struct Pass {
  const RouterView& router;
  DotProducts* products;
  const float* x;  // [rows, H]
  int64_t hidden;
  float* r;       // [rows, H] rms(x) · scale · H^−½
  float* p;       // [rows, experts]
  float* panels;  // [threads, kPanel, H]
  int32_t* expert;
  float* weight;
};

void scale_input(const RouterView& router, float factor, int64_t hidden, float* r) {
  for (int64_t i = 0; i < hidden; ++i) r[i] *= router.scale[i] * factor;
}

void run_rows(const Pass& pass, int64_t begin, int64_t end, float* panel) {
  const RouterView& router = pass.router;
  const int64_t hidden = pass.hidden, experts = router.projection.rows;
  const float factor = 1.0f / std::sqrt(static_cast<float>(hidden));
  for (int64_t t = begin; t < end; ++t) {
    rms_norm_row(pass.x + t * hidden, nullptr, router.eps, hidden, pass.r + t * hidden);
    scale_input(router, factor, hidden, pass.r + t * hidden);
  }
  for (int64_t first = 0; first < experts; first += kPanel) {
    const WeightView w = router.projection.slice(first, std::min(kPanel, experts - first));
    dequantize_row(w.type, w.blocks, panel, w.rows * hidden);  // f32 too, for a file aligns to 32
    pass.products({pass.r + begin * hidden, hidden}, end - begin, {panel, hidden}, w.rows, hidden,
                  {pass.p + begin * experts + first, experts});
  }
  for (int64_t t = begin; t < end; ++t) {
    softmax(pass.p + t * experts, experts);
    choose(pass.p + t * experts, experts, router, pass.expert + t * router.used,
           pass.weight + t * router.used);
  }
}

void run(Pass pass, int64_t rows, float* scratch, ThreadPool& pool) {
  pass.r = scratch;
  pass.p = pass.r + rows * pass.hidden;
  pass.panels = pass.p + rows * pass.router.projection.rows;
  pool.for_each((rows + kRowsATask - 1) / kRowsATask, [&](int64_t task, int thread) {
    run_rows(pass, task * kRowsATask, std::min(rows, (task + 1) * kRowsATask),
             pass.panels + thread * kPanel * pass.hidden);
  });
}

}  // namespace

size_t route_scratch(int64_t rows, int64_t hidden, int64_t experts, int threads) {
  return static_cast<size_t>(rows * (hidden + experts) + threads * kPanel * hidden);
}

void route(const float* x, int64_t rows, int64_t hidden, const RouterView& router, int32_t* expert,
           float* weight, float* scratch, ThreadPool& pool) {
  run({router, dot_products, x, hidden, nullptr, nullptr, nullptr, expert, weight}, rows, scratch,
      pool);
}

void fast_route(const float* x, int64_t rows, int64_t hidden, const RouterView& router,
                int32_t* expert, float* weight, float* scratch, ThreadPool& pool) {
  run({router, fused_dot_products, x, hidden, nullptr, nullptr, nullptr, expert, weight}, rows,
      scratch, pool);
}

}  // namespace potluck::cpu
