// A canvas is the ids that are being denoised. These functions make its noise, and find where a
// finished one ends.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "topology/base/step_key.h"

namespace potluck {

// The ids that a canvas begins with: [length] uniform in [0, vocab). key.step is 0.
std::vector<int32_t> initial_canvas(const StepKey& key, int length, int vocab);
// The ids that replace what a step does not accept: [length] uniform in [0, vocab).
std::vector<int32_t> renoise_ids(const StepKey& key, int length, int vocab);

// Everything after the first end id becomes pad; the end id stays. Returns its index, or −1.
int pad_after_end(std::vector<int32_t>& canvas, std::span<const int32_t> end_ids, int32_t pad_id);

// Gives the answer without its end id, if it has one.
std::span<const int32_t> without_end(std::span<const int32_t> ids,
                                     std::span<const int32_t> end_ids);

}  // namespace potluck
