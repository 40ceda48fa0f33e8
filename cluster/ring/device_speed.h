// Measures how fast a device computes layers and head of a model, by running them as a worker does:
// with its shapes and stored types, behind a prompt, the median of several runs after a rest each.
#pragma once

#include <string>

#include "topology/cluster/cluster_spec.h"
#include "topology/model/model_source.h"
#include "topology/plan/memory_partitioner.h"

namespace potluck {

inline constexpr int kSpeedPrompt = 1024;  // tokens in front of the canvas

struct MeasuredSpeed {
  DeviceSpeed speed;     // 0 for a part that was not measured
  std::string left_out;  // which part that was, and why; empty: none
  std::string problem;   // why the device failed; empty: it did not
};

// room: the device, and what may be taken of its memory: what needs more is left out. threads: of
// a CPU; 0: one for each core. The layers are the model's median sliding and full ones by size.
MeasuredSpeed measure_speed(const ModelSource& source, const DeviceRoom& room, int threads);

}  // namespace potluck
