// Head owns the tied table E. It makes x0 from ids and the previous step's soft embedding, and
// turns the last hidden state into candidates by vocabulary attention
// (shard/MODEL.md §4, §5).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "backends/backend.h"
#include "shard/weights.h"
#include "shard/workspace.h"
#include "topology/model/model_source.h"
#include "topology/plan/plan.h"
#include "transport/candidates.h"

namespace potluck {

class Head final {
 public:
  // Loads table, norms and self-conditioning. Throws Fault{memory | input | world}.
  Head(const ModelSource& source, const Plan& plan, Backend& backend);

  // workspace().x = rms₀(E[ids]·embed_scale + self_condition(soft)) on denoise rows,
  // E[ids]·embed_scale on encode rows, in the stream dtype. ids: [rows of all segments];
  // soft_before: [C, H] for each segment, empty where it has none yet.
  void embed(std::span<const Segment> segments, std::span<const int32_t> ids,
             std::span<const Tensor> soft_before);
  // h = rms(workspace().x)·w. Returns the candidates of each segment, and writes its soft embedding
  // Σ p·E · embed_scale to soft_out[i], [C, H].
  std::vector<Candidates> answer(std::span<const Segment> segments,
                                 std::span<const Tensor> soft_out, const LogitTap& tap = nullptr);
  // soft [rows, H] from recorded z = logits / t, [rows, V] (forced replay).
  void soft_from_logits(const float* z, int rows, Tensor soft);

  Tensor new_soft();  // [C, H] f32 on the device
  Workspace& workspace() { return workspace_; }
  uint64_t weight_bytes() const { return weight_bytes_; }

 private:
  bool gather_soft(std::span<const Segment> segments, std::span<const Tensor> soft_before);
  void self_condition(int rows);

  const ModelSpec& spec_;
  Backend& backend_;
  DType stream_;
  HeadWeights weights_;
  Workspace workspace_;
  Tensor ids_;         // [rows] i32
  Tensor soft_;        // [rows, H] of a pass
  Tensor candidates_;  // [rows] RowCandidate
  uint64_t weight_bytes_ = 0;
};

}  // namespace potluck
