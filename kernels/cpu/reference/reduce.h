// Sums and maxima of a row, in an order fixed by its length alone (lanes.h).
#pragma once

#include <cstdint>

namespace potluck::cpu {

float sum_of(const float* x, int64_t n);  // in 16 lanes
float max_of(const float* x, int64_t n);  // n ≥ 1

}  // namespace potluck::cpu
