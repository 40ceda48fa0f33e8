// The fast gated activation.
#pragma once

#include <cstdint>

namespace potluck::cpu {

// out[i] = gelu_tanh(gate[i]) · up[i] as gate · up / (1 + e^(−2u)), in f32 throughout: within
// 2⁻²¹ · |gate · up|.  out may be gate.
void fast_gelu_mul_row(const float* gate, const float* up, int64_t n, float* out);

}  // namespace potluck::cpu
