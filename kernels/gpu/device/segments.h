// Which segment a row belongs to and which keys it sees (shard/MODEL.md §2.7, §3).
#pragma once

#include "kernels/gpu/device/gpu.h"
#include "topology/base/segment.h"

namespace potluck::gpu {

// Returns nullptr for a row that is none of the pass.
GPU_DEVICE const Segment* segment_of(const StepParams& params, int row) {
  for (int i = 0; i < params.segment_count; ++i) {
    const Segment& s = params.segments[i];
    if (row >= s.row_begin && row < s.row_begin + s.rows) return &s;
  }
  return nullptr;
}

// Positions [first, last) of a session's ring.
struct CachedKeys {
  int first, last;
};

// The cached keys of row t of a segment; a canvas row sees all rows of its canvas besides.
GPU_DEVICE CachedKeys cached_keys(const Segment& segment, int t, int window) {
  const bool encode = segment.mode == Mode::encode;
  const int last = encode ? segment.position + t + 1 : segment.position;
  const int first = last - (encode ? window : window - 1);
  return {window && first > 0 ? first : 0, last};
}

}  // namespace potluck::gpu
