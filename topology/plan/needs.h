// Upper bounds of what a backend's largest operation works in, on any instruction set: kernels/cpu
// carves it, and tests/backends holds the two together.
#pragma once

#include <cstdint>

#include "topology/base/dtype.h"
#include "topology/model/model_spec.h"

namespace potluck {

struct ScratchShape {
  Precision precision = Precision::exact;
  uint64_t rows = 0;  // of a pass
  uint64_t threads = 1;
  uint64_t keys = 0;  // of an attention row at most
};

uint64_t stage_scratch_max(const ModelSpec& spec, const ScratchShape& shape);  // bytes
uint64_t head_scratch_max(const ModelSpec& spec, const ScratchShape& shape);

}  // namespace potluck
