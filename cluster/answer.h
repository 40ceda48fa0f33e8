// One request through a ring, waited for.
#pragma once

#include <memory>

#include "coordinator/pipeline.h"
#include "topology/model_source.h"

namespace potluck {

struct RingOptions {
  int stages = 1;
  std::vector<int> split;
  int threads = 0;
  int ctx_size = 0;  // 0: the plan's default, or the model's context where that is less
  int chunk = 0;     // 0: the plan's default
  bool f32 = false;  // stream and KV in f32
};

Plan make_plan(const ModelSource& source, const RingOptions& options);

// Bytes each worker needs, "head: 1.20 GB (…)", a line each.
std::vector<std::string> plan_lines(const ModelSource& source, const Plan& plan);

// Loads the ring, runs the request, tears the ring down. Throws the request's Fault.
// events.finished and events.failed are taken.
RequestResult answer(std::shared_ptr<const ModelSource> source, Plan plan, int threads,
                     Request request, PipelineEvents events);

}  // namespace potluck
