// The parts of a step that `bench step` tells apart.
#pragma once

#include <cstdint>

namespace potluck {

enum class Part : uint8_t {
  projections,  // attention's: Q, K, V and O
  attention,    // scores, softmax, Σ p·V
  router,
  experts,
  dense,         // the dense MLP of each layer
  norms,         // with RoPE, rounding K and V, residual sums, looking ids up in E
  conditioning,  // the head's self-conditioning MLP
  head,          // vocabulary attention: logits, softmax, the draw, Σ p·E
  sampling,      // the coordinator's: accept, renoise, stop?
  hop,           // rows to their wire form and back
};
inline constexpr int kParts = 10;

const char* part_name(Part part);

}  // namespace potluck
