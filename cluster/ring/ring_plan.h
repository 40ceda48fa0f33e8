// Makes the plan of a ring that is given none, and says in words what a plan costs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "topology/model/fingerprint.h"
#include "topology/model/model_source.h"
#include "topology/plan/memory_partitioner.h"
#include "topology/plan/plan.h"

namespace potluck {

struct RingOptions {
  int stages = 1;
  std::vector<int> split;
  // One for all workers, or one for each stage, of which the first is the head's too; none: cpu.
  std::vector<std::string> devices;
  // Instead of stages, split and devices: cards take as many layers as their memory holds, or
  // card_layers, and a CPU the rest.
  std::vector<DeviceRoom> rooms;
  std::optional<int> card_layers;
  int ctx_size = 0;  // 0: the plan's default, or the model's context if that is less
  int chunk = 0;     // 0: the plan's default
  bool f32 = false;  // the stream and the KV are f32
  Precision precision = Precision::fast;
};

// Makes stream, hops and KV f32; or stream and hops bf16, and KV f16.
void set_stream(Plan& plan, bool f32);

// A plan of one stage with all layers, whose devices are left open.
Plan frame_plan(const ModelSource& source, const RingOptions& options);
// A plan whose head and stages are all started here.
Plan make_plan(const ModelSource& source, const RingOptions& options);

Fingerprint fingerprint_of(const ModelSource& source);

// The workers in ring order with their layers: "head, stage 0 (0:2), stage 1 (2:4)".
std::string ring_text(const Plan& plan);

// The part and the need of a worker: "stage 0 (layers 0:4): 1.20 GB (weights …, KV …, workspace
// …)".
std::string need_text(const ModelSource& source, const Plan& plan, PeerId worker);

}  // namespace potluck
