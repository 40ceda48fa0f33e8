// StagesBeside: runs all stages of a plan beside the head, on one backend, with the hops between
// them in their wire form. Segment i of a pass belongs to session i. The first session always
// exists, the others from fork() on.
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

  void restart();           // leaves the first session alone, without tokens
  void fork(int sessions);  // makes so many sessions in all, as copies of the first
  // Replaces x [rows, H] f32 with the last stage's output (denoise), or puts it into the KV
  // (encode). `tap` sees the output of each layer.
  void through(std::span<const Segment> segments, Tensor x, const Stage::LayerTap& tap);

 private:
  void hop(Tensor from, Tensor to, int rows, DType type);

  const ModelSpec& spec_;
  const Plan& plan_;
  Backend& backend_;
  std::vector<std::unique_ptr<Stage>> stages_;
};

}  // namespace potluck
