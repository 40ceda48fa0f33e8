// StagesBeside: all stages of a plan on one backend, with the hops between them in their wire form.
// Segment i of a pass is of session i, which exists from fork() on; the first always does.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "shard/stage.h"
#include "topology/plan/plan.h"

namespace potluck {

class StagesBeside final {
 public:
  // Loads all stages and opens the first session. Throws Fault{memory | input | world}.
  StagesBeside(const ModelSource& source, const Plan& plan, Backend& backend);

  void restart();           // the first session anew, without tokens; no other
  void fork(int sessions);  // from the first session: so many in all, the others its copies
  // x [rows, H] f32 → x after the last stage (denoise), or into the KV (encode). tap sees each
  // layer's output.
  void through(std::span<const Segment> segments, Tensor x, const Stage::LayerTap& tap);

 private:
  void hop(Tensor from, Tensor to, int rows, DType type);

  const ModelSpec& spec_;
  const Plan& plan_;
  Backend& backend_;
  std::vector<std::unique_ptr<Stage>> stages_;
};

}  // namespace potluck
