// Token embeddings (shard/MODEL.md §5).
#pragma once

#include <cstdint>

#include "kernels/gpu/device/stored.h"

namespace potluck::gpu {

// out[t,:] = table[ids[t],:] · scale.  ids: [rows], out: [rows, table.columns]. An id that the
// table has not gives NaN. A block takes a row.
struct Embed {
  const int32_t* ids;
  Weights table;  // E: [V, H]
  float scale;
  float* out;
};

}  // namespace potluck::gpu
