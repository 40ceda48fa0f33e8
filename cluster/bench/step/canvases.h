// The canvases of `bench step`: one for each session of a plan, all in one pass, behind the same
// prompt; head and stages in this process.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "backends/profiled/profiled_backend.h"
#include "cluster/ring/stages_beside.h"
#include "coordinator/sampler.h"
#include "shard/head.h"

namespace potluck {

struct TimedStep {
  double ms = 0;
  StepWork work;
};

// Every step that is timed is the second of its canvas and begins with the same ids and soft
// embeddings, so all do the same work: they are self-conditioned, and sure of little.
class BenchCanvases final {
 public:
  // Loads head and stages, with the profile off. A pass of encode() has `chunk` rows, at most the
  // plan's.
  BenchCanvases(const ModelSource& source, const Plan& plan, int chunk, ProfiledBackend& backend);

  double encode(int tokens);  // encodes the prompt once for all canvases; returns seconds
  void first_step();
  // Its parts are timed and counted if it is profiled.
  TimedStep second_step(bool profiled);

 private:
  int count() const { return std::ssize(samplers_); }
  void pass(std::span<const Segment> segments, std::span<const int32_t> ids,
            std::span<const Tensor> soft);
  // Returns the ids of the step after it.
  std::vector<int32_t> step(int index, std::span<const int32_t> ids, std::span<const Tensor> before,
                            std::span<const Tensor> after);
  std::vector<Segment> segments(int step) const;
  std::vector<int32_t> decide(int step, const std::vector<Candidates>& candidates);

  const ModelSpec& spec_;
  const int chunk_;
  ProfiledBackend& backend_;
  Head head_;
  StagesBeside stages_;
  std::vector<std::unique_ptr<Sampler>> samplers_;  // for each canvas, as all that follow
  std::vector<Tensor> none_, first_, second_;       // soft embeddings before and after each step
  std::vector<int32_t> next_;                       // [canvases, C]
  int length_ = 0;                                  // of the prompt
  double sampling_seconds_ = 0;
};

}  // namespace potluck
