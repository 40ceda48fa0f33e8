// Philox4x32-10 (Salmon et al., SC'11): a counter-based generator, so that every random number of a
// request is a function of what it is for, and nothing comes from arrival order.
#pragma once

#include <array>
#include <cstdint>

#include "topology/base/step_key.h"

namespace potluck::noise {

std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, uint64_t key);

enum class Purpose : uint32_t { initial_canvas = 0, renoise = 1, tile = 2, pick = 3 };

// The address of one random number.
struct NoiseAddress {
  StepKey key;
  uint32_t position = 0;  // within the canvas
  Purpose purpose = Purpose::initial_canvas;
  uint32_t tile = 0;  // < 2^28
};

// Uniform in (0, 1): (k + ½)·2⁻⁵² for k of 52 bits.
double uniform(const NoiseAddress& at);
// Uniform in [0, bound): a 64-bit multiply-shift, whose bias is below 2⁻³²·bound.
uint32_t uniform_below(const NoiseAddress& at, uint32_t bound);

}  // namespace potluck::noise
