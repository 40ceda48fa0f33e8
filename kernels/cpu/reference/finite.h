// Finds stored values that are not finite: a NaN or an infinity in a weight makes every answer
// noise, and quantizers write them (a row of zeros divided by its greatest value).
#pragma once

#include <cstdint>

#include "kernels/cpu/reference/weight_view.h"
#include "topology/base/dtype.h"

namespace potluck::cpu {

// The first of `blocks` stored blocks that has a value which is not finite, −1: none. Of quantized
// blocks the scales and minima are read alone: what they multiply is finite, and no product of
// theirs reaches the end of f32; mxfp4's greatest scales do, and there the values are looked at.
int64_t first_not_finite(DType type, const void* blocks, int64_t count);
int64_t first_not_finite(const WeightView& w);

// The first value of this one block that is not finite, or its scale.
float not_finite_value(DType type, const void* block);

}  // namespace potluck::cpu
