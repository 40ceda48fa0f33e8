// The recorded traces (tests/golden/README.md), as a table that CMake made of their JSON.
#pragma once

#include <cstdint>
#include <span>

namespace potluck {

// An op of a trace. Offsets are bytes from the beginning of its tensors' file; ids are i32, all
// else is f32. A step has `logits` and `entropy`, an encode has neither.
struct GoldenOp {
  bool step;
  uint64_t ids, ids_count;
  uint64_t logits, entropy;
  double temperature;
  bool conditioned;     // on the logits of the step before
  double bf16_rms_rel;  // what the reference itself loses in bf16
};

struct GoldenTrace {
  const char* name;
  const char* model;  // file names in the folder of the traces
  const char* tensors;
  std::span<const GoldenOp> ops;
};

std::span<const GoldenTrace> golden_traces();

}  // namespace potluck
