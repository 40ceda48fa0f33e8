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
POTLUCK_CLONES float inverse_rms(const float* a, const float* b, int64_t n, float eps) {
  Lanes sum = {};
  each_lanes(
      n, [&](int64_t i, const auto& load) __attribute__((always_inline)) {
        Lanes x, y = {};
        load(a + i, x);
        if (b) load(b + i, y);
        x += y;
        sum += x * x;
      });
  return 1.0f / std::sqrt(sum_lanes(sum) / static_cast<float>(n) + eps);
}

constexpr int64_t kGeluPart = 256;  // values whose tanh is taken at a time

// out = 0.5·gate·(1 + tanh) ⊙ up, given the tanh.
POTLUCK_CLONES void gelu_of_tanh(const float* gate, const float* up, const float* tanh, int64_t n,
                                 float* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = 0.5f * gate[i] * (1.0f + tanh[i]) * up[i];
}

POTLUCK_CLONES void gelu_angle(const float* gate, int64_t n, float* out) {
  constexpr float kSqrtTwoOverPi = 0.7978845608f;
  for (int64_t i = 0; i < n; ++i) {
    const float u = gate[i];
    out[i] = kSqrtTwoOverPi * (u + 0.044715f * u * u * u);
  }
}

POTLUCK_CLONES void scale_row(const float* x, float scale, const float* weight, int64_t n,
                              float* out) {
  for (int64_t i = 0; i < n; ++i) out[i] = weight ? x[i] * scale * weight[i] : x[i] * scale;
}

struct NormedSum {
  const float *x1, *a, *b, *weight;
  float inverse, scale;
};

POTLUCK_CLONES void add_normed_row(const NormedSum& s, int64_t n, float* out) {
  for (int64_t i = 0; i < n; ++i) {
    const float h = s.b ? s.a[i] + s.b[i] : s.a[i];
    out[i] = (s.x1[i] + h * s.inverse * s.weight[i]) * s.scale;
  }
}

POTLUCK_CLONES void rotate(float* low, const float* sine, const float* cosine, int64_t pairs,
                           int64_t half) {
  for (int64_t j = 0; j < pairs; ++j) {
    const float a = low[j], b = low[half + j];
    low[j] = a * cosine[j] - b * sine[j];
    low[half + j] = b * cosine[j] + a * sine[j];
  }
}

}  // namespace

void rms_norm(const float* x, const float* weight, float eps, int64_t rows, int64_t n, float* out,
              ThreadPool& pool) {
  each_row(rows, pool, [&](int64_t t) {
    const float* in = x + t * n;
    const float scale = inverse_rms(in, nullptr, n, eps);
    scale_row(in, scale, weight, n, out + t * n);
  });
}

void add_norm(const float* x1, const float* h1, const float* h2, const float* weight, float eps,
              float scale, int64_t rows, int64_t n, DType stream, float* out, ThreadPool& pool) {
  each_row(rows, pool, [&](int64_t t) {
    const float* a = h1 + t * n;
    const float* b = h2 ? h2 + t * n : nullptr;
    const float inverse = inverse_rms(a, b, n, eps);
    add_normed_row({x1 + t * n, a, b, weight, inverse, scale}, n, out + t * n);
    round_to(stream, out + t * n, n);
  });
}

void gelu_mul_row(const float* gate, const float* up, int64_t n, float* out) {
  float tanh[kGeluPart];
  for (int64_t i = 0; i < n; i += kGeluPart) {
    const int64_t count = std::min(kGeluPart, n - i);
    gelu_angle(gate + i, count, tanh);
    exact_softcaps(tanh, count, 1.0f);
    gelu_of_tanh(gate + i, up + i, tanh, count, out + i);
  }
}

void gelu_mul(const float* gate, const float* up, int64_t stride, int64_t rows, int64_t n,
              float* out, int64_t out_stride, ThreadPool& pool) {
  each_row(rows, pool, [&](int64_t t) {
    gelu_mul_row(gate + t * stride, up + t * stride, n, out + t * out_stride);
  });
}

void rope_table(const int32_t* position, int64_t rows, int head_dim, int pairs, float theta,
                const RopeTable& table, ThreadPool& pool) {
  constexpr int kPart = 64;  // pairs at a time
  const double log_theta = exact_log(static_cast<double>(theta));
  for (int first = 0; first < pairs; first += kPart) {
    const int count = std::min(kPart, pairs - first);
    float frequency[kPart];
    for (int j = 0; j < count; ++j)
      frequency[j] = static_cast<float>(exact_exp(-2.0 * (first + j) / head_dim * log_theta));
    each_row(rows, pool, [&](int64_t t) {
      double angle[kPart], sine[kPart], cosine[kPart];
      for (int j = 0; j < count; ++j) angle[j] = static_cast<float>(position[t]) * frequency[j];
      exact_sincos(angle, count, sine, cosine);
      const auto narrow = [](double value) { return static_cast<float>(value); };
      std::transform(sine, sine + count, table.sine + t * pairs + first, narrow);
      std::transform(cosine, cosine + count, table.cosine + t * pairs + first, narrow);
    });
  }
}

void rope(float* x, const RopeTable& table, int64_t rows, int heads, int head_dim, int pairs,
          ThreadPool& pool) {
  each_row(rows, pool, [&](int64_t t) {
    for (int h = 0; h < heads; ++h)
      rotate(x + (t * heads + h) * head_dim, table.sine + t * pairs, table.cosine + t * pairs,
             pairs, head_dim / 2);
  });
}

}  // namespace potluck::cpu
