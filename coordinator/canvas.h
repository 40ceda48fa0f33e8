// Canvas: the ids being denoised, their noise, and how a finished one ends.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace potluck {

struct NoiseKey {  // design.md: key = seed; counter = (answer, canvas, step, position, purpose,
                   // tile)
  uint64_t seed = 0;
  uint32_t answer = 0;
};

// [C] uniform ids in [0, vocab): purpose initial_canvas, step 0.
std::vector<int32_t> initial_canvas(const NoiseKey& key, uint32_t canvas, int length, int vocab);
// [C] uniform ids in [0, vocab): purpose renoise, of step s.
std::vector<int32_t> renoise_ids(const NoiseKey& key, uint32_t canvas, uint32_t step, int length,
                                 int vocab);

// Everything after the first end id becomes pad; the end id stays. Returns its index, or −1.
int pad_after_end(std::vector<int32_t>& canvas, std::span<const int32_t> end_ids, int32_t pad_id);

// An answer without the end id, should it have one.
std::span<const int32_t> without_end(std::span<const int32_t> ids,
                                     std::span<const int32_t> end_ids);

}  // namespace potluck
