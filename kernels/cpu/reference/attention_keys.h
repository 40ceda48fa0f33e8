// visible_keys says which keys a row of a segment sees, for the reference and the fast attention
// alike.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/cpu/reference/attention.h"

namespace potluck::cpu {

// Cached positions [first, last) are visible, then `fresh` rows of the canvas.
struct Visible {
  int64_t first, last, fresh;
  int64_t count() const { return last - first + fresh; }
};

inline Visible visible_keys(const AttentionSegment& segment, int64_t t, int window) {
  Visible v;
  v.last = segment.denoise ? segment.position : segment.position + t + 1;
  const int64_t reach = segment.denoise ? window - 1 : window;
  v.first = window ? std::max<int64_t>(0, v.last - reach) : 0;
  v.fresh = segment.denoise ? segment.rows : 0;
  return v;
}

}  // namespace potluck::cpu
