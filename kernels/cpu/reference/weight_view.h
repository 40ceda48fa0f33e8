// WeightView: a weight matrix as it is stored.
#pragma once

#include <cstdint>

#include "topology/base/dtype.h"

namespace potluck::cpu {

// A stored weight matrix [rows, columns], in `type` blocks along each row.
struct WeightView {
  DType type = DType::f32;
  const void* blocks = nullptr;
  int64_t rows = 0;                                      // outputs
  int64_t columns = 0;                                   // inputs
  WeightView slice(int64_t first, int64_t count) const;  // rows [first, first + count)
};

}  // namespace potluck::cpu
