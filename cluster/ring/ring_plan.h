// The plan that `run` makes when it is given none, and what a plan costs in words.
#pragma once

#include <string>
#include <vector>

#include "topology/model/fingerprint.h"
#include "topology/model/model_source.h"
#include "topology/plan/plan.h"

namespace potluck {

struct RingOptions {
  int stages = 1;
  std::vector<int> split;
  int ctx_size = 0;  // 0: the plan's default, or the model's context where that is less
  int chunk = 0;     // 0: the plan's default
  bool f32 = false;  // stream and KV in f32
  Precision precision = Precision::fast;
};

// f32: stream, hops and KV; else bf16, with KV in f16.
void set_stream(Plan& plan, bool f32);

// Head and stages, all started here.
Plan make_plan(const ModelSource& source, const RingOptions& options);

Fingerprint fingerprint_of(const ModelSource& source);

// What a worker needs, and its part: "stage 0 (layers 0:4): 1.20 GB (weights …, KV …, workspace
// …)".
std::string need_text(const ModelSource& source, const Plan& plan, PeerId worker);

}  // namespace potluck
