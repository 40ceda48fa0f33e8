// The products that operations are made of, for benches alone: a device says of each how it
// multiplies, and so what its peak is.
#pragma once

#include <compare>
#include <cstdint>

#include "backends/tensor.h"
#include "topology/base/dtype.h"

namespace potluck {

struct Product {
  enum class Kind : uint8_t {
    matrix,   // matmul
    experts,  // gate, up and down
    router,
    scores,  // q·k
    values,  // Σ p·V
    logits,  // h·E
    soft,    // Σ p·E
  };
  Kind kind = Kind::matrix;
  DType type = DType::f32;  // of what is stored: weights, K, V or E
  Care care = Care::usual;  // of a matrix
  auto operator<=>(const Product&) const = default;
};

}  // namespace potluck
