// The gated activation: gelu_tanh(gate) ⊙ up.
#pragma once

#include <cstdint>

#include "kernels/cpu/machine/thread_pool.h"
#include "kernels/cpu/reference/rows.h"

namespace potluck::cpu {

// out[i] = gelu_tanh(gate[i]) · up[i]; out may be gate.
void gelu_mul_row(const float* gate, const float* up, int64_t n, float* out);

// Does the same for each of `rows` rows of n values.
void gelu_mul(ConstRows gate, ConstRows up, int64_t rows, int64_t n, Rows out, ThreadPool& pool);

}  // namespace potluck::cpu
