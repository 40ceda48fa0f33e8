// StepKey: the address of one denoising step. All noise of a step is a function of this key and of
// the place it is drawn for (kernels/noise/philox.h), so the key travels with every data message
// and every segment of a pass.
#pragma once

#include <cstdint>

namespace potluck {

struct StepKey {
  uint64_t seed = 0;    // the request's
  uint32_t answer = 0;  // its number under that seed: a chat's answers differ
  uint32_t canvas = 0;  // within the answer, < 2^24
  uint32_t step = 0;    // within the canvas, < 2^8: max_steps is at most 255
  bool operator==(const StepKey&) const = default;
};

}  // namespace potluck
