// StagesBeside: all stages of a plan on one backend, with the hops between them in their wire form.
#pragma once

#include <memory>
#include <vector>

#include "shard/stage.h"
#include "topology/plan.h"

namespace potluck {

class StagesBeside final {
 public:
  // Loads all stages and opens one session. Throws Fault{memory | input | world}.
  StagesBeside(const ModelSource& source, const Plan& plan, Backend& backend);

  void restart();  // the session anew, without tokens
  // x [rows, H] f32 → x after the last stage (denoise), or into the KV (encode). tap sees each
  // layer's output.
  void through(const Segment& segment, Tensor x, const Stage::LayerTap& tap);

 private:
  void hop(Tensor from, Tensor to, int rows, DType type);

  const ModelSpec& spec_;
  const Plan& plan_;
  Backend& backend_;
  std::vector<std::unique_ptr<Stage>> stages_;
};

}  // namespace potluck
