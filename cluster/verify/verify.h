// Replays a recorded trace through head and stages and compares every logit and entropy; stores no
// expected answers of its own. Format of the traces: tests/golden/README.md.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "cluster/ring/hosted_workers.h"
#include "topology/model/model_source.h"

namespace potluck {

struct VerifyOptions {
  std::string trace;        // T.json
  std::string tensors;      // T.safetensors; empty: beside the trace
  std::vector<int> cuts;    // layers at which new stages begin
  std::optional<bool> f32;  // stream and KV; nothing: as the plan says, or f32 without one
  bool free = false;        // condition on its own previous step instead of the recorded one
  int chunk = 0;            // rows of an encode pass; 0: the whole of each op at once
  std::string backend = "cpu";
  int threads = 0;
  Precision precision = Precision::exact;
  std::string isa;  // of fast; empty: the best here
  // Where the stages are: beside the head in this process, or workers at the other end of links.
  std::optional<HostSetup> hosts;
  std::string plan;  // the stages' plan file, with hosts; its head is this process all the same
};

struct VerifyReport {
  int ops = 0, steps = 0;
  double max_abs = 0, rms_rel = 0, argmax_agree = 1, entropy_max_abs = 0;
  double vs_bf16 = 0, vs_bf16_worst = 0;  // mean and worst over steps of rms_rel / bf16_rms_rel
  int worst_op = 0, worst_row = 0, worst_id = 0;
  bool lossy = false;  // the stream, KV, a hop or the products were not of float32
  std::string
      first_bad_layer;  // of the recorded x0, x1, …: the first off by more than its tolerance
};

VerifyReport verify(std::shared_ptr<const ModelSource> source, const VerifyOptions& options);
nlohmann::json to_json(const VerifyReport& report);

}  // namespace potluck
