// The sessions that share a pass, and what changes for each of them from pass to pass.
#pragma once

#include <cstdint>

#include "topology/base/step_key.h"

namespace potluck {

inline constexpr int kMaxSegments = 64;

enum class Mode : int32_t { encode = 0, denoise = 1 };

// The rows of one session within a pass, which may run several. Row ranges follow one another.
struct Segment {
  Mode mode = Mode::encode;
  int32_t slot = 0;       // the session's KV slot on this worker
  int32_t position = 0;   // of the first row = tokens cached before it
  int32_t row_begin = 0;  // within the pass
  int32_t rows = 0;
  // These two are read on the head alone, when a canvas is denoised.
  float inverse_temperature = 1.0f;
  StepKey key;
};

// Everything that changes from pass to pass. It lives in device memory, so that a recorded graph
// can be replayed for the next step.
struct StepParams {
  int32_t segment_count = 0;
  int32_t rows = 0;
  Segment segments[kMaxSegments];
};

}  // namespace potluck
