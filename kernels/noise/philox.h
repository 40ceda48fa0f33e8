// Philox4x32-10 (Salmon et al., SC'11): a counter-based generator, so that every random number of a
// request is a function of what it is for, and nothing comes from arrival order.
//
// What is constexpr here runs on GPUs as well, with the same bits.
#pragma once

#include <cstdint>

#include "topology/base/step_key.h"

namespace potluck::noise {

struct Words {
  uint32_t a, b, c, d;
  bool operator==(const Words&) const = default;
};

constexpr Words philox4x32(Words counter, uint64_t key) {
  uint32_t k0 = key, k1 = key >> 32;
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = 0xD2511F53ull * counter.a, p1 = 0xCD9E8D57ull * counter.c;
    counter = {static_cast<uint32_t>(p1 >> 32) ^ counter.b ^ k0, static_cast<uint32_t>(p1),
               static_cast<uint32_t>(p0 >> 32) ^ counter.d ^ k1, static_cast<uint32_t>(p0)};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return counter;
}

enum class Purpose : uint32_t { initial_canvas = 0, renoise = 1, tile = 2, pick = 3 };

// The address of one random number.
struct NoiseAddress {
  StepKey key;
  uint32_t position = 0;  // within the canvas
  Purpose purpose = Purpose::initial_canvas;
  uint32_t tile = 0;  // < 2^28
};

// Uniform in [0, 2^64).
constexpr uint64_t uniform_bits(const NoiseAddress& at) {
  const Words words = philox4x32({at.position, (static_cast<uint32_t>(at.purpose) << 28) | at.tile,
                                  (at.key.canvas << 8) | at.key.step, at.key.answer},
                                 at.key.seed);
  return static_cast<uint64_t>(words.b) << 32 | words.a;
}

// Uniform in (0, 1): (k + ½)·2⁻⁵² for k of 52 bits.
constexpr double uniform(const NoiseAddress& at) {
  return ((uniform_bits(at) >> 12) + 0.5) * 0x1p-52;
}

// Uniform in [0, bound): a 64-bit multiply-shift, whose bias is below 2⁻³²·bound.
uint32_t uniform_below(const NoiseAddress& at, uint32_t bound);

}  // namespace potluck::noise
