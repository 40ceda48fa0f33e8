// Replays a recorded trace through head and stages and compares every logit and entropy. The format
// of the traces is in tests/golden/README.md.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "cluster/ring/hosted_workers.h"
#include "cluster/verify/drawn_ids.h"
#include "topology/model/model_source.h"

namespace potluck {

struct VerifyOptions {
  std::string trace;        // T.json
  std::string tensors;      // T.safetensors; empty: beside the trace
  std::vector<int> cuts;    // layers at which new stages begin
  std::optional<bool> f32;  // stream and KV; none: as the plan says, or f32 without a plan
  bool free = false;        // each step follows our previous one, not the recorded one
  int chunk = 0;            // rows of an encode pass; 0: each op in one pass
  // One for all, or one for each stage, of which the first is the head's too; those need hosts.
  std::vector<std::string> devices = {"cpu"};
  int threads = 0;
  Precision precision = Precision::exact;
  std::string isa;  // of fast products; empty: the best here
  // Without hosts the stages are beside the head in this process, else at the other end of links.
  std::optional<HostSetup> hosts;
  std::string
      plan;  // with hosts: a plan file for the stages; this process is the head all the same
};

struct VerifyReport {
  int ops = 0, steps = 0;
  double max_abs = 0, rms_rel = 0, argmax_agree = 1, entropy_max_abs = 0;
  double vs_bf16 = 0, vs_bf16_worst = 0;  // mean and worst over steps of rms_rel / bf16_rms_rel
  int worst_op = 0, worst_row = 0, worst_id = 0;
  DrawnIds ids;        // beside what the recorded logits choose
  std::vector<int32_t> argmax, sample;  // of each step's rows, one step after another
  bool lossy = false;  // the stream, the KV, a hop or the products were not f32
  // The first of the recorded x0, x1, … that is off by more than its tolerance.
  std::string first_bad_layer;
};

VerifyReport verify(std::shared_ptr<const ModelSource> source, const VerifyOptions& options);
nlohmann::json to_json(const VerifyReport& report);

}  // namespace potluck
