// A task takes some rows all the way from norm to choice, while they are in its caches.
#include "kernels/cpu/reference/route.h"

#include <algorithm>
#include <cmath>

#include "kernels/cpu/reference/dequantize.h"
#include "kernels/cpu/reference/exact_math.h"
#include "kernels/cpu/reference/reduce.h"
#include "kernels/cpu/reference/rms_norm.h"
#include "kernels/cpu/reference/row_products.h"

namespace potluck::cpu {
namespace {

constexpr int64_t kRowsATask = 32;  // 32 · 2816 · 4 B = 360 KB beside a panel: within L2
constexpr int64_t kPanel = 16;      // experts whose weights are dequantized at a time, as matmul's

// The k largest of p (ties: lowest index) in falling order, normalised and scaled.
void choose(float* p, int64_t experts, const RouterView& router, int32_t* expert, float* weight) {
  float sum = 0;
  for (int k = 0; k < router.used; ++k) {
    const float* max = std::find(p, p + experts, max_of(p, experts));
    const int64_t best = max < p + experts ? max - p : 0;
    expert[k] = best;
    weight[k] = p[best];
    sum += p[best];
    p[best] = -1.0f;  // taken
  }
  for (int k = 0; k < router.used; ++k)
    weight[k] = weight[k] / sum * router.per_expert_scale[expert[k]];
}

void softmax(float* p, int64_t n) {
  exact_exps(p, n, max_of(p, n));
  float sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += p[i];
  for (int64_t i = 0; i < n; ++i) p[i] /= sum;
}

struct Pass {
  DotProducts* products;
  const RouteRows& rows;
  const RouterView& router;
  int64_t hidden;
  float* r;       // [rows, H] rms(x) · scale · H^−½
  float* p;       // [rows, experts]
  float* panels;  // [threads, kPanel, H]
};

void scale_input(const RouterView& router, float factor, int64_t hidden, float* r) {
  for (int64_t i = 0; i < hidden; ++i) r[i] *= router.scale[i] * factor;
}

void run_rows(const Pass& pass, int64_t begin, int64_t end, float* panel) {
  const RouterView& router = pass.router;
  const int64_t hidden = pass.hidden, experts = router.projection.rows;
  const float factor = 1.0f / std::sqrt(static_cast<float>(hidden));
  for (int64_t t = begin; t < end; ++t) {
    rms_norm_row(pass.rows.x + t * hidden, nullptr, router.eps, hidden, pass.r + t * hidden);
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
    choose(pass.p + t * experts, experts, router, pass.rows.expert + t * router.used,
           pass.rows.weight + t * router.used);
  }
}

}  // namespace

size_t route_scratch(int64_t rows, int64_t hidden, int64_t experts, int threads) {
  return rows * (hidden + experts) + threads * kPanel * hidden;
}

void route_by(DotProducts* products, const RouteRows& rows, const RouterView& router,
              float* scratch, ThreadPool& pool) {
  const int64_t hidden = router.projection.columns, experts = router.projection.rows;
  Pass pass{products, rows, router, hidden, scratch, nullptr, nullptr};
  pass.p = pass.r + rows.rows * hidden;
  pass.panels = pass.p + rows.rows * experts;
  pool.for_each((rows.rows + kRowsATask - 1) / kRowsATask, [&](int64_t task, int thread) {
    run_rows(pass, task * kRowsATask, std::min(rows.rows, (task + 1) * kRowsATask),
             pass.panels + thread * kPanel * hidden);
  });
}

void route(const RouteRows& rows, const RouterView& router, float* scratch, ThreadPool& pool) {
  route_by(dot_products, rows, router, scratch, pool);
}

}  // namespace potluck::cpu
