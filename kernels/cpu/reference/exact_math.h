// exp, tanh, log, sin and cos of our own: the same bits on every x86-64 and aarch64, because
// nothing here depends on a libm or on contraction (it is built with -ffp-contract=off). Errors are
// within 2 ulp (f32) or 4 ulp (f64) over the stated ranges; tests/kernels measures them.
#pragma once

#include <cstdint>

namespace potluck::cpu {

float exact_exp(float x);  // underflows to 0 below −87.3…, +inf above 88.7…
float exact_tanh(float x);
double exact_log(double x);  // x > 0
double exact_exp(double x);
// angle is in radians, |angle| ≤ 2^20 (context_max positions at frequency 1).
void exact_sincos(double angle, double* sine, double* cosine);

// The same bits for arrays, in vectors.  x[i] = exp(x[i] − shift);  x[i] = cap · tanh(x[i] / cap);
// sine[i], cosine[i] of angle[i].
void exact_exps(float* x, int64_t n, float shift);
void exact_softcaps(float* x, int64_t n, float cap);
void exact_sincos(const double* angle, int64_t n, double* sine, double* cosine);

}  // namespace potluck::cpu
