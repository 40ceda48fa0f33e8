// The head's two passes: ids to x0, and the last hidden state to candidates.
#include "shard/head.h"

#include "shard/step_params.h"
#include "topology/base/check.h"
#include "topology/plan/cost_model.h"

namespace potluck {
namespace {

// Rows become columns, as the wire has them.
Candidates candidates_of(std::span<const RowCandidate> rows) {
  Candidates c;
  for (const RowCandidate& row : rows) {
    c.argmax.push_back(row.argmax);
    c.sample.push_back(row.sample);
    c.entropy.push_back(row.entropy);
  }
  return c;
}

}  // namespace

Head::Head(const ModelSource& source, const Plan& plan, Backend& backend)
    : spec_(source.spec()),
      backend_(backend),
      stream_(plan.stream),
      weights_(load_head(source, backend)),
      workspace_(head_workspace(spec_, plan, backend)),
      weight_bytes_(head_bytes(source)) {
  const size_t rows = workspace_.rows;
  ids_ = backend.allocate(rows * sizeof(int32_t));
  soft_ = backend.allocate(rows * spec_.hidden * sizeof(float));
  candidates_ = backend.allocate(rows * sizeof(RowCandidate));
  backend.reserve({.spec = &spec_, .rows = workspace_.rows, .keys = 0, .head = true});
}

Tensor Head::new_soft() {
  return backend_.allocate(static_cast<size_t>(spec_.canvas) * spec_.hidden * sizeof(float));
}

void Head::embed(std::span<const Segment> segments, std::span<const int32_t> ids,
                 std::span<const Tensor> soft_before) {
  const int rows = upload_params(segments, backend_, workspace_);
  CHECK(ids.size() == static_cast<size_t>(rows), ids.size(), rows);
  backend_.upload(ids.data(), ids.size_bytes(), ids_);
  Workspace& w = workspace_;
  backend_.embed(ids_, weights_.table, spec_.embed_scale, rows, w.dense);
  const bool conditioned = gather_soft(segments, soft_before);
  if (conditioned) self_condition(rows);
  backend_.canvas_input({.params = w.params,
                         .x = w.dense,
                         .s = conditioned ? w.projected : Tensor{},
                         .eps = spec_.rms_eps,
                         .rows = rows,
                         .n = spec_.hidden,
                         .stream = stream_,
                         .out = w.x});
}

// Lays the segments' soft embeddings side by side in soft_, zeros for a segment that has none (in
// its first step). Returns whether any segment has one.
bool Head::gather_soft(std::span<const Segment> segments, std::span<const Tensor> soft_before) {
  bool any = false;
  for (const Tensor& soft : soft_before) any = any || !soft.empty();
  if (!any) return false;
  CHECK(soft_before.size() == segments.size(), soft_before.size(), segments.size());
  const size_t row = spec_.hidden * sizeof(float);
  for (size_t i = 0; i < segments.size(); ++i) {
    const Segment& s = segments[i];
    if (soft_before[i].empty())
      backend_.fill(0, static_cast<size_t>(s.rows) * spec_.hidden, soft_, s.row_begin * row);
    else
      backend_.copy(soft_before[i], 0, soft_, s.row_begin * row, s.rows * row);
  }
  return true;
}

// projected = W_down(gelu(W_gate n) ⊙ W_up n),  n = rms(soft)·pre_norm
void Head::self_condition(int rows) {
  Workspace& w = workspace_;
  backend_.rms_norm(soft_, weights_.pre_norm, spec_.rms_eps, rows, spec_.hidden, w.normed);
  backend_.matmul(w.normed, weights_.gate, rows, w.gate);
  backend_.matmul(w.normed, weights_.up, rows, w.up);
  backend_.gelu_mul(w.gate, w.up, rows, spec_.intermediate, w.gate);
  backend_.matmul(w.gate, weights_.down, rows, w.projected);
}

std::vector<Candidates> Head::answer(std::span<const Segment> segments,
                                     std::span<const Tensor> soft_out, const LogitTap& tap) {
  CHECK(soft_out.size() == segments.size(), soft_out.size(), segments.size());
  const int rows = upload_params(segments, backend_, workspace_);
  Workspace& w = workspace_;
  backend_.rms_norm(w.x, weights_.norm, spec_.rms_eps, rows, spec_.hidden, w.normed);
  backend_.vocab_attention({.params = w.params,
                            .h = w.normed,
                            .table = weights_.table,
                            .softcap = spec_.softcap,
                            .soft_scale = spec_.embed_scale,
                            .rows = rows,
                            .candidates = candidates_,
                            .soft = soft_,
                            .ids_summed = {},
                            .tap = tap});
  const size_t row = spec_.hidden * sizeof(float);
  for (size_t i = 0; i < segments.size(); ++i)
    backend_.copy(soft_, segments[i].row_begin * row, soft_out[i], 0, segments[i].rows * row);
  std::vector<RowCandidate> answered(rows);
  backend_.download(candidates_, answered.size() * sizeof(RowCandidate), answered.data());
  backend_.wait();
  std::vector<Candidates> candidates;
  for (const Segment& s : segments)
    candidates.push_back(candidates_of(std::span(answered).subspan(s.row_begin, s.rows)));
  return candidates;
}

void Head::soft_from_logits(const float* z, int rows, Tensor soft) {
  backend_.soft_from_logits(z, weights_.table, spec_.embed_scale, rows, soft);
  backend_.wait();
}

}  // namespace potluck
