// Philox4x32-10 (Salmon et al., SC'11): a counter-based generator, so that every random number of a
// request is a function of what it is for, and nothing comes from arrival order.
#pragma once

#include <array>
#include <cstdint>

namespace potluck::cpu {

std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, uint64_t key);

enum class Purpose : uint32_t { initial_canvas = 0, renoise = 1, tile = 2, pick = 3 };

// One number's address within a request.
struct NoiseCounter {
  uint32_t answer = 0;
  uint32_t canvas = 0;  // < 2^24
  uint32_t step = 0;    // < 2^8: max_steps is at most 255
  uint32_t position = 0;
  Purpose purpose = Purpose::initial_canvas;
  uint32_t tile = 0;  // < 2^28
};

// Uniform in (0, 1): (k + ½)·2⁻⁵², k of 52 bits. key: the request's seed.
double uniform(uint64_t key, const NoiseCounter& at);
// Uniform in [0, bound), exactly (no modulo bias beyond 2⁻³²·bound: 64-bit multiply-shift).
uint32_t uniform_below(uint64_t key, const NoiseCounter& at, uint32_t bound);

}  // namespace potluck::cpu
