// Norms, activations and rotary embedding: one pass over rows.
#include <algorithm>
#include <cmath>

#include "kernels/cpu/dequantize.h"
#include "kernels/cpu/exact_math.h"
#include "kernels/cpu/lanes.h"
#include "kernels/cpu/reference.h"

namespace potluck::cpu {
namespace {

constexpr int64_t kRowsPerTask = 16;

// Runs body(row) for each row, some rows a task.
template <typename Body>
void each_row(int64_t rows, ThreadPool& pool, const Body& body) {
  pool.for_each((rows + kRowsPerTask - 1) / kRowsPerTask, [&](int64_t task, int) {
    const int64_t end = std::min(rows, (task + 1) * kRowsPerTask);
    for (int64_t row = task * kRowsPerTask; row < end; ++row) body(row);
  });
}

// (mean((a + b)²) + eps)^−½; b may be nullptr.
float inverse_rms(const float* a, const float* b, int64_t n, float eps) {
  Lanes sum = {};
  for (int64_t i = 0; i < n; i += kLanes) {
    const int64_t count = std::min<int64_t>(kLanes, n - i);
    Lanes x, y = {};
    load_lanes_part(a + i, count, x);
    if (b) load_lanes_part(b + i, count, y);
    x += y;
    sum += x * x;
  }
  return 1.0f / std::sqrt(sum_lanes(sum) / static_cast<float>(n) + eps);
}

float gelu_tanh(float u) {
  constexpr float kSqrtTwoOverPi = 0.7978845608f;
  return 0.5f * u * (1.0f + exact_tanh(kSqrtTwoOverPi * (u + 0.044715f * u * u * u)));
}

}  // namespace

void rms_norm(const float* x, const float* weight, float eps, int64_t rows, int64_t n, float* out,
              ThreadPool& pool) {
  each_row(rows, pool, [&](int64_t t) {
    const float* in = x + t * n;
    const float scale = inverse_rms(in, nullptr, n, eps);
    for (int64_t i = 0; i < n; ++i) {
      const float normed = in[i] * scale;
      out[t * n + i] = weight ? normed * weight[i] : normed;
    }
  });
}

void add_norm(const float* x1, const float* h1, const float* h2, const float* weight, float eps,
              float scale, int64_t rows, int64_t n, DType stream, float* out, ThreadPool& pool) {
  each_row(rows, pool, [&](int64_t t) {
    const float* a = h1 + t * n;
    const float* b = h2 ? h2 + t * n : nullptr;
    const float inverse = inverse_rms(a, b, n, eps);
    for (int64_t i = 0; i < n; ++i) {
      const float h = b ? a[i] + b[i] : a[i];
      out[t * n + i] = (x1[t * n + i] + h * inverse * weight[i]) * scale;
    }
    round_to(stream, out + t * n, n);
  });
}

void gelu_mul(const float* gate, const float* up, int64_t stride, int64_t rows, int64_t n,
              float* out, int64_t out_stride, ThreadPool& pool) {
  each_row(rows, pool, [&](int64_t t) {
    for (int64_t i = 0; i < n; ++i)
      out[t * out_stride + i] = gelu_tanh(gate[t * stride + i]) * up[t * stride + i];
  });
}

void rope(float* x, const int32_t* position, int64_t rows, int heads, int head_dim, int pairs,
          float theta, ThreadPool& pool) {
  const double log_theta = exact_log(static_cast<double>(theta));
  each_row(rows, pool, [&](int64_t t) {
    for (int j = 0; j < pairs; ++j) {
      const auto frequency = static_cast<float>(exact_exp(-2.0 * j / head_dim * log_theta));
      double sine, cosine;
      exact_sincos(static_cast<float>(position[t]) * frequency, &sine, &cosine);
      const auto s = static_cast<float>(sine), c = static_cast<float>(cosine);
      for (int h = 0; h < heads; ++h) {
        float* low = x + (t * heads + h) * head_dim + j;
        float* high = low + head_dim / 2;
        const float a = *low, b = *high;
        *low = a * c - b * s;
        *high = b * c + a * s;
      }
    }
  });
}

}  // namespace potluck::cpu
