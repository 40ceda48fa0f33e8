// The keys that a block of queries attends to, and where they lie.
#pragma once

#include "kernels/gpu/device/segments.h"
#include "kernels/gpu/exact/attention.h"

namespace potluck::gpu {

// A choice is all keys of every source, or one span of one source.
struct KeyChoice {
  int span = -1;   // −1: all
  int cached = 0;  // spans of rings, which come before those of canvases
};

// Rows of K and V that are keys: key i lies in row begin + i mod capacity.
struct KeySource {
  KvRows rows;
  int64_t begin;
  uint32_t capacity;
};

// A segment's keys are those in its session's ring and, if it is denoised, the rows of its canvas.
GPU_DEVICE KeySource key_source(const Attention& a, const Segment& segment, bool canvas) {
  if (canvas) return {a.fresh, segment.row_begin, static_cast<uint32_t>(segment.rows)};
  return {a.ring, segment.slot * a.capacity, static_cast<uint32_t>(a.capacity)};
}

// Those that row t of the segment sees.
GPU_DEVICE KeyRange keys_of_row(const Attention& a, const Segment& segment, int t, bool canvas) {
  if (canvas) return {0, segment.mode == Mode::denoise ? segment.rows : 0};
  const CachedKeys keys = cached_keys(segment, t, a.window);
  return {keys.first, keys.last};
}

// Those of the choice that any of rows [begin, end) of the segment sees; none may be {512, 0}.
GPU_DEVICE KeyRange chosen_keys(const Attention& a, const Segment& segment, int begin, int end,
                                bool canvas, KeyChoice choice) {
  const KeyRange all = {keys_of_row(a, segment, begin, canvas).first,
                        keys_of_row(a, segment, end - 1, canvas).last};
  if (choice.span < 0) return all;
  if (canvas != (choice.span >= choice.cached)) return {0, 0};
  const bool window = canvas || a.window;
  const int before = canvas ? -choice.cached : window ? all.first / kKeySpan : 0;
  const KeyRange span = key_span(choice.span + before, window);
  return {span.first > all.first ? span.first : all.first,
          span.last < all.last ? span.last : all.last};
}

}  // namespace potluck::gpu
