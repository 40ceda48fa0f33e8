// The angles by which a pass turns its queries and keys (shard/MODEL.md §2.6).
#pragma once

#include <cstdint>

#include "topology/base/segment.h"

namespace potluck::gpu {

struct RopeAngle {
  float sine, cosine;
};

// angles[t, j] is that of position · theta^(−2j/head_dim) for row t's position. A block takes a
// row; rows of no segment change nothing.
struct RopeAngles {
  const StepParams* params;
  RopeAngle* angles;  // [rows, pairs]
  int32_t head_dim, pairs;
  float theta;
};

}  // namespace potluck::gpu
