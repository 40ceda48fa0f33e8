// The router of the experts (shard/MODEL.md §2.4).
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/machine/thread_pool.h"
#include "kernels/cpu/reference/rows.h"
#include "kernels/cpu/reference/weight_view.h"

namespace potluck::cpu {

struct RouterView {
  const float* scale = nullptr;             // [H]
  WeightView projection;                    // W_r: [experts, H]
  const float* per_expert_scale = nullptr;  // [experts]
  float eps = 1e-6f;
  int used = 0;  // k
};

// The rows to be routed, and where their experts go.
struct RouteRows {
  const float* x;  // [rows, H] the raw residual
  int64_t rows;
  int32_t* expert;  // [rows, k] in falling order of p
  float* weight;    // [rows, k]
};

size_t route_scratch(int64_t rows, int64_t hidden, int64_t experts, int threads);  // floats

// p = softmax over all experts of (W_r · (rms(x) ⊙ scale · H^−½)); the k greatest of p (ties:
// lowest index), each divided by their sum and multiplied by per_expert_scale.
void route(const RouteRows& rows, const RouterView& router, float* scratch, ThreadPool& pool);

// Routes by other products than dot_products, for the fast kernels.
using DotProducts = void(ConstRows x, int64_t rows, ConstRows w, int64_t columns, int64_t terms,
                         Rows out);
void route_by(DotProducts* products, const RouteRows& rows, const RouterView& router,
              float* scratch, ThreadPool& pool);

}  // namespace potluck::cpu
