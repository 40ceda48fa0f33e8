// Norms, activations and rotary embedding: one pass over rows.
#include <algorithm>
#include <cmath>

#include "kernels/cpu/machine/each_row.h"
#include "kernels/cpu/reference/dequantize.h"
#include "kernels/cpu/reference/exact_math.h"
#include "kernels/cpu/reference/lanes.h"
#include "kernels/cpu/reference/reference.h"

namespace potluck::cpu {
namespace {

// (mean(x²) + eps)^−½.
POTLUCK_CLONES float inverse_rms(const float* x, int64_t n, float eps) {
  Lanes sum = {};
  each_lanes(
      n, [&](int64_t i, const auto& load) __attribute__((always_inline)) {
        Lanes lanes;
        load(x + i, lanes);
        sum += lanes * lanes;
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

// A row of a branch: h · inverse · norm, or h.
struct BranchRow {
  const float* h;
  float inverse;
  const float* norm;
};

template <typename Load>
POTLUCK_INLINE void load_branch(const BranchRow& b, int64_t i, const Load& load, Lanes& value) {
  load(b.h + i, value);
  if (!b.norm) return;
  Lanes norm;
  load(b.norm + i, norm);
  value = value * b.inverse * norm;
}

POTLUCK_CLONES void add_branches(BranchRow a, BranchRow b, int64_t n, float* out) {
  set_lanes(
      n, out, [&](int64_t i, const auto& load, Lanes& sum) __attribute__((always_inline)) {
        Lanes other;
        load_branch(a, i, load, sum);
        load_branch(b, i, load, other);
        sum += other;
      });
}

BranchRow branch_row(const Branch& branch, int64_t t, int64_t n, float eps) {
  const float* h = branch.h + t * n;
  return {h, branch.norm ? inverse_rms(h, n, eps) : 1.0f, branch.norm};
}

// The row of h: one branch as it lies, or in `out`.
const float* sum_of_branches(const AddNorm& a, int64_t t, int64_t n, float* out) {
  if (!a.second.h && !a.first.norm) return a.first.h + t * n;
  const BranchRow first = branch_row(a.first, t, n, a.eps);
  if (a.second.h)
    add_branches(first, branch_row(a.second, t, n, a.eps), n, out);
  else
    scale_row(first.h, first.inverse, first.norm, n, out);
  return out;
}

struct NormedSum {
  const float *x1, *h, *weight;
  float inverse, scale;
};

// out = (x1 + h · inverse · weight) · scale; out may be h.
POTLUCK_CLONES void add_normed_row(const NormedSum& s, int64_t n, float* out) {
  set_lanes(
      n, out, [&](int64_t i, const auto& load, Lanes& sum) __attribute__((always_inline)) {
        Lanes h, weight;
        load(s.x1 + i, sum);
        load(s.h + i, h);
        load(s.weight + i, weight);
        sum = (sum + h * s.inverse * weight) * s.scale;
      });
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

POTLUCK_CLONES void scale_row(const float* x, float scale, const float* weight, int64_t n,
                              float* out) {
  set_lanes(
      n, out, [&](int64_t i, const auto& load, Lanes& lanes) __attribute__((always_inline)) {
        load(x + i, lanes);
        lanes *= scale;
        if (!weight) return;
        Lanes w;
        load(weight + i, w);
        lanes *= w;
      });
}

POTLUCK_CLONES void add_row(const float* a, const float* b, int64_t n, float* out) {
  set_lanes(
      n, out, [&](int64_t i, const auto& load, Lanes& sum) __attribute__((always_inline)) {
        Lanes other;
        load(a + i, sum);
        load(b + i, other);
        sum += other;
      });
}

void rms_norm_row(const float* x, const float* weight, float eps, int64_t n, float* out) {
  scale_row(x, inverse_rms(x, n, eps), weight, n, out);
}

void rms_norm(const float* x, const float* weight, float eps, int64_t rows, int64_t n, float* out,
              ThreadPool& pool) {
  each_row(rows, pool,
           [&](int64_t t, int) { rms_norm_row(x + t * n, weight, eps, n, out + t * n); });
}

void add_norm(const AddNorm& a, int64_t rows, int64_t n, float* out, ThreadPool& pool) {
  each_row(rows, pool, [&](int64_t t, int) {
    float* to = out + t * n;
    const float* h = sum_of_branches(a, t, n, to);
    add_normed_row({a.x1 + t * n, h, a.weight, inverse_rms(h, n, a.eps), a.scale}, n, to);
    round_to(a.stream, to, n);
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
  each_row(rows, pool, [&](int64_t t, int) {
    gelu_mul_row(gate + t * stride, up + t * stride, n, out + t * out_stride);
  });
}

void rope_frequencies(int head_dim, int pairs, float theta, float* frequency) {
  const double log_theta = exact_log(static_cast<double>(theta));
  for (int j = 0; j < pairs; ++j)
    frequency[j] = static_cast<float>(exact_exp(-2.0 * j / head_dim * log_theta));
}

void rope_angles(int32_t position, const float* frequency, int pairs, float* sine, float* cosine) {
  constexpr int kPart = 64;  // pairs at a time
  const auto narrow = [](double value) { return static_cast<float>(value); };
  double angle[kPart], s[kPart], c[kPart];
  for (int first = 0; first < pairs; first += kPart) {
    const int count = std::min(kPart, pairs - first);
    for (int j = 0; j < count; ++j) angle[j] = static_cast<float>(position) * frequency[first + j];
    exact_sincos(angle, count, s, c);
    std::transform(s, s + count, sine + first, narrow);
    std::transform(c, c + count, cosine + first, narrow);
  }
}

void rope_row(float* x, const float* sine, const float* cosine, int heads, int head_dim,
              int pairs) {
  for (int h = 0; h < heads; ++h)
    rotate(x + static_cast<int64_t>(h) * head_dim, sine, cosine, pairs, head_dim / 2);
}

}  // namespace potluck::cpu
