// Rows of f32 values that lie `stride` elements apart.
#pragma once

#include <cstdint>

namespace potluck::cpu {

struct ConstRows {
  const float* data;
  int64_t stride;
};
struct Rows {
  float* data;
  int64_t stride;
};

}  // namespace potluck::cpu
