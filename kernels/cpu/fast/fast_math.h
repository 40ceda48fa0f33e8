// Exponentials and soft caps of arrays in f32 throughout: relative errors under 2e-7 of an
// exponential, 3e-7 of a soft cap; the same bits on every processor, as of exact_math.h.
#pragma once

#include <cstdint>

namespace potluck::cpu {

void fast_exps(float* x, int64_t n, float shift);  // x[i] = exp(x[i] − shift); x[i] − shift ≤ 88
void fast_softcaps(float* x, int64_t n, float cap);  // x[i] = cap · tanh(x[i] / cap)

}  // namespace potluck::cpu
