// GELU by one exponential instead of a tanh.
#include "kernels/cpu/fast/gelu.h"

#include "kernels/cpu/fast/fast_exp.h"

namespace potluck::cpu {

// gelu_tanh(g) = g · ½(1 + tanh u) = g / (1 + e^(−2u)), u = √(2/π)·(g + 0.044715·g³).
POTLUCK_CLONES void fast_gelu_mul_row(const float* gate, const float* up, int64_t n, float* out) {
  constexpr float kTwiceRoot = 2 * 0.7978845608f;
  for (int64_t i = 0; i < n; ++i) {
    const float g = gate[i], twice = -kTwiceRoot * (g + 0.044715f * g * g * g);
    out[i] = g * up[i] / (1.0f + fast_exp(twice < 87.0f ? twice : 87.0f));
  }
}

}  // namespace potluck::cpu
