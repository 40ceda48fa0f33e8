// Scaling and adding rows, for operations that have no other step.
#pragma once

#include <cstdint>

namespace potluck::cpu {

// scale_row: out = x · scale ⊙ weight; weight may be nullptr. add_row: out = a + b. All are [n],
// and out may be x, a or b.
void scale_row(const float* x, float scale, const float* weight, int64_t n, float* out);
void add_row(const float* a, const float* b, int64_t n, float* out);

}  // namespace potluck::cpu
