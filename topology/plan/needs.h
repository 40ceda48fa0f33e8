// The memory that each kind of device needs beside the file's bytes: one table with a row for each
// kind, read by the cost model.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "topology/base/dtype.h"
#include "topology/model/model_spec.h"

namespace potluck {

constexpr uint64_t float_bytes(uint64_t count) {
  return count * sizeof(float);
}

struct ScratchShape {
  Precision precision = Precision::exact;
  uint64_t rows = 0;  // of a pass
  uint64_t threads = 1;
  uint64_t keys = 0;  // of an attention row at most
};

// Each is an upper bound in bytes.
struct DeviceNeeds {
  std::string_view kind;  // of a plan's device, in front of its ":"
  // A layer's matrix [count, rows, columns] as it lies in memory.
  uint64_t (*matrix)(Precision precision, DType type, int64_t count, int64_t rows, int64_t columns);
  bool keeps_head;  // the head's matrices lie there as the file has them, whatever `matrix` says
  // The largest operation's scratch.
  uint64_t (*stage_scratch)(const ModelSpec& spec, const ScratchShape& shape);
  uint64_t (*head_scratch)(const ModelSpec& spec, const ScratchShape& shape);
};

// device: a plan's, "cpu" or "cuda:0". A kind that has no row counts as a CPU.
const DeviceNeeds& device_needs(const std::string& device);

}  // namespace potluck
