// The head's operations on a CPU.
#include <algorithm>
#include <limits>
#include <vector>

#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/host_memory.h"
#include "kernels/cpu/fast/vocab_attention.h"
#include "kernels/cpu/machine/each_row.h"
#include "kernels/cpu/reference/dequantize.h"
#include "kernels/cpu/reference/elementwise.h"
#include "kernels/cpu/reference/finite.h"
#include "kernels/cpu/reference/matmul.h"
#include "kernels/cpu/reference/rms_norm.h"
#include "kernels/cpu/reference/vocab_attention.h"
#include "topology/base/check.h"

namespace potluck {
namespace {

// A row's inputs beside its hidden state, which its segment says.
struct RowInputs {
  std::vector<float> inverse_temperature;
  std::vector<StepKey> noise;
  std::vector<int32_t> position;
};

RowInputs row_inputs(const StepParams& params) {
  RowInputs rows;
  for (int i = 0; i < params.segment_count; ++i) {
    const Segment& s = params.segments[i];
    rows.inverse_temperature.insert(rows.inverse_temperature.end(), s.rows, s.inverse_temperature);
    rows.noise.insert(rows.noise.end(), s.rows, s.key);
    for (int t = 0; t < s.rows; ++t) rows.position.push_back(t);
  }
  return rows;
}

// The entropy of a row whose hidden state h [rows, n] is not finite becomes NaN: a product that
// rounds to integers would make numbers of it.
void mark_lost_rows(const float* h, int64_t n, std::vector<float>& entropy) {
  for (float& nats : entropy) {
    if (cpu::first_not_finite(DType::f32, h, n) >= 0)
      nats = std::numeric_limits<float>::quiet_NaN();
    h += n;
  }
}

}  // namespace

void CpuBackend::reserve_head(const Limits& limits) {
  const ModelSpec& spec = *limits.spec;
  const size_t threads = pool_.threads();
  const int64_t columns = std::max(spec.hidden, spec.intermediate);
  scratch_bytes_ = std::max({scratch_bytes_, cpu::matmul_scratch(columns) * threads * sizeof(float),
                             cpu::vocab_scratch(limits.rows, spec.hidden, pool_.threads())});
}

void CpuBackend::embed(Tensor ids, const Matrix& table, float embed_scale, int rows, Tensor out) {
  const cpu::WeightView& e = view(table);
  const size_t bytes = row_bytes(e.type, e.columns);
  cpu::each_row(rows, pool_, [&](int64_t t, int) {
    const int32_t id = i32(ids)[t];
    CHECK(id >= 0 && id < e.rows, id, e.rows);
    float* x = f32(out) + t * e.columns;
    cpu::dequantize_row(e.type, static_cast<const std::byte*>(e.blocks) + id * bytes, x, e.columns);
    cpu::scale_row(x, embed_scale, nullptr, e.columns, x);
  });
}

void CpuBackend::canvas_input(const CanvasInput& op) {
  const StepParams& p = step_params(op.params);
  for (int i = 0; i < p.segment_count; ++i) {
    const Segment& segment = p.segments[i];
    const bool denoise = segment.mode == Mode::denoise;
    cpu::each_row(segment.rows, pool_, [&](int64_t t, int) {
      const int64_t first = (segment.row_begin + t) * op.n;
      const float* x = f32(op.x) + first;
      float* row = f32(op.out) + first;
      if (denoise && !op.s.empty())
        cpu::add_row(x, f32(op.s) + first, op.n, row);
      else
        std::copy_n(x, op.n, row);
      if (denoise) cpu::rms_norm_row(row, nullptr, op.eps, op.n, row);
      cpu::round_to(op.stream, row, op.n);
    });
  }
}

void CpuBackend::vocab_attention(const VocabAttention& op) {
  const RowInputs inputs = row_inputs(step_params(op.params));
  const int64_t hidden = op.table.columns;
  float* soft = f32(op.soft);
  cpu::VocabRequest request;
  request.h = f32(op.h);
  request.rows = op.rows;
  request.hidden = hidden;
  request.table = view(op.table);
  request.softcap = op.softcap;
  request.inverse_temperature = inputs.inverse_temperature.data();
  request.noise = inputs.noise.data();
  request.position = inputs.position.data();
  request.tap = op.tap;
  std::vector<cpu::VocabPartial> partial(op.rows);
  std::vector<float> entropy(op.rows);
  int64_t ids_summed = op.table.rows;
  if (fast())
    ids_summed = std::min(ids_summed, cpu::fast_vocab_attention(isa_, request, partial.data(), soft,
                                                                scratch_.data, pool_));
  else
    cpu::vocab_attention(request, partial.data(), soft, scratch_.data, pool_);
  if (!op.ids_summed.empty()) *i32(op.ids_summed) = ids_summed;
  cpu::finish(partial.data(), op.rows, hidden, entropy.data(), soft);
  for (int64_t i = 0; i < op.rows * hidden; ++i) soft[i] *= op.soft_scale;
  mark_lost_rows(f32(op.h), hidden, entropy);
  auto* out = static_cast<RowCandidate*>(op.candidates.data);
  for (size_t t = 0; t < partial.size(); ++t)
    out[t] = {partial[t].argmax, partial[t].sample, entropy[t]};
}

void CpuBackend::soft_from_logits(const float* z, const Matrix& table, float soft_scale, int rows,
                                  Tensor soft) {
  cpu::soft_from_logits(z, rows, view(table), f32(soft), f32(scratch_), pool_);
  for (int64_t i = 0; i < rows * table.columns; ++i) f32(soft)[i] *= soft_scale;
}

}  // namespace potluck
