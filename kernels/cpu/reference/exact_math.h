// exp, tanh, log, sin, cos of our own: the same bits on every x86-64 and aarch64, because nothing
// here depends on a libm or on contraction (build with -ffp-contract=off). Errors: each within 2
// ulp (f32) or 4 ulp (f64) over its stated range; measured by tests/kernels.
#pragma once

#include <cstdint>

namespace potluck::cpu {

float exact_exp(float x);  // underflows to 0 below −87.3…, +inf above 88.7…
float exact_tanh(float x);
double exact_log(double x);  // x > 0
double exact_exp(double x);
// angle in radians, |angle| ≤ 2^20 (context_max positions at frequency 1).
void exact_sincos(double angle, double* sine, double* cosine);

// Of arrays, the same bits in vectors.  x[i] = exp(x[i] − shift);  x[i] = cap · tanh(x[i] / cap);
// sine[i], cosine[i] of angle[i].
void exact_exps(float* x, int64_t n, float shift);
void exact_softcaps(float* x, int64_t n, float cap);
void exact_sincos(const double* angle, int64_t n, double* sine, double* cosine);

}  // namespace potluck::cpu
