// The tanh of a part of a row is taken at a time, so that it stays in L1.
#include "kernels/cpu/reference/gelu.h"

#include <algorithm>

#include "kernels/cpu/machine/each_row.h"
#include "kernels/cpu/reference/exact_math.h"
#include "kernels/cpu/reference/lanes.h"

namespace potluck::cpu {
namespace {

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

}  // namespace

void gelu_mul_row(const float* gate, const float* up, int64_t n, float* out) {
  float tanh[kGeluPart];
  for (int64_t i = 0; i < n; i += kGeluPart) {
    const int64_t count = std::min(kGeluPart, n - i);
    gelu_angle(gate + i, count, tanh);
    exact_softcaps(tanh, count, 1.0f);
    gelu_of_tanh(gate + i, up + i, tanh, count, out + i);
  }
}

void gelu_mul(ConstRows gate, ConstRows up, int64_t rows, int64_t n, Rows out, ThreadPool& pool) {
  each_row(rows, pool, [&](int64_t t, int) {
    gelu_mul_row(gate.data + t * gate.stride, up.data + t * up.stride, n,
                 out.data + t * out.stride);
  });
}

}  // namespace potluck::cpu
