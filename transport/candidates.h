// Candidates: what the head answers to one denoising step of one canvas, as a value and as the
// payload of a candidates message: argmax [C] i32, sample [C] i32, entropy [C] f32, one after the
// other, little-endian.
#pragma once

#include <cstdint>
#include <vector>

#include "transport/message.h"

namespace potluck {

struct Candidates {
  std::vector<int32_t> argmax;  // [C]
  std::vector<int32_t> sample;  // [C] drawn at the step's temperature
  std::vector<float> entropy;   // [C] in nats, at the step's temperature
};

Payload encode_candidates(const Candidates& candidates);
// Throws Fault{refused} if the payload does not hold the candidates of `canvas` positions.
Candidates decode_candidates(const Payload& payload, int canvas);

}  // namespace potluck
