// The head's operations of CpuBackend.
#include <algorithm>
#include <vector>

#include "backends/cpu/cpu_backend.h"
#include "kernels/cpu/fast/fast.h"
#include "kernels/cpu/machine/each_row.h"
#include "kernels/cpu/reference/dequantize.h"
#include "kernels/cpu/reference/vocab_attention.h"
#include "topology/base/check.h"

namespace potluck {
namespace {

const StepParams& step(Tensor params) {
  return *static_cast<const StepParams*>(params.data);
}

// What each row of a pass needs beside its hidden state, from its segment.
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

}  // namespace

void CpuBackend::reserve_head(const Limits& limits) {
  const ModelSpec& spec = *limits.spec;
  const size_t threads = static_cast<size_t>(pool_.threads());
  const int64_t columns = std::max(spec.hidden, spec.intermediate);
  scratch_bytes_ = std::max({scratch_bytes_, cpu::matmul_scratch(columns) * threads * sizeof(float),
                             cpu::vocab_scratch(limits.rows, spec.hidden, pool_.threads())});
}

void CpuBackend::embed(Tensor ids, const Matrix& table, float embed_scale, int rows, Tensor out) {
  const cpu::WeightView& e = view(table);
  const size_t bytes = row_bytes(e.type, e.columns);
  cpu::each_row(rows, pool_, [&](int64_t t, int) {
    const int32_t id = ids.i32()[t];
    CHECK(id >= 0 && id < e.rows, id, e.rows);
    float* x = out.f32() + t * e.columns;
    cpu::dequantize_row(e.type, static_cast<const std::byte*>(e.blocks) + id * bytes, x, e.columns);
    cpu::scale_row(x, embed_scale, nullptr, e.columns, x);
  });
}

void CpuBackend::canvas_input(Tensor params, Tensor x, Tensor s, float eps, int, int64_t n,
                              DType stream, Tensor out) {
  const StepParams& p = step(params);
  for (int i = 0; i < p.segment_count; ++i) {
    const Segment& segment = p.segments[i];
    const bool denoise = segment.mode == Mode::denoise;
    cpu::each_row(segment.rows, pool_, [&](int64_t t, int) {
      const int64_t first = (segment.row_begin + t) * n;
      float* row = out.f32() + first;
      if (denoise && s.data)
        cpu::add_row(x.f32() + first, s.f32() + first, n, row);
      else
        std::copy_n(x.f32() + first, n, row);
      if (denoise) cpu::rms_norm_row(row, nullptr, eps, n, row);
      cpu::round_to(stream, row, n);
    });
  }
}

void CpuBackend::vocab_attention(Tensor params, Tensor h, const Matrix& table, float softcap,
                                 float soft_scale, int rows, Tensor candidates, Tensor soft,
                                 const LogitTap& tap) {
  const RowInputs inputs = row_inputs(step(params));
  cpu::VocabRequest request;
  request.h = h.f32();
  request.rows = rows;
  request.hidden = table.columns;
  request.table = view(table);
  request.softcap = softcap;
  request.inverse_temperature = inputs.inverse_temperature.data();
  request.noise = inputs.noise.data();
  request.position = inputs.position.data();
  request.tap = tap;
  std::vector<cpu::VocabPartial> partial(static_cast<size_t>(rows));
  std::vector<float> entropy(static_cast<size_t>(rows));
  ids_summed_ = table.rows;
  if (fast())
    ids_summed_ = std::min(
        ids_summed_,
        cpu::fast_vocab_attention(isa_, request, partial.data(), soft.f32(), scratch_.data, pool_));
  else
    cpu::vocab_attention(request, partial.data(), soft.f32(), scratch_.data, pool_);
  cpu::finish(partial.data(), rows, table.columns, entropy.data(), soft.f32());
  for (int64_t i = 0; i < rows * table.columns; ++i) soft.f32()[i] *= soft_scale;
  auto* out = static_cast<RowCandidate*>(candidates.data);
  for (size_t t = 0; t < partial.size(); ++t)
    out[t] = {partial[t].argmax, partial[t].sample, entropy[t]};
}

void CpuBackend::soft_from_logits(const float* z, const Matrix& table, float soft_scale, int rows,
                                  Tensor soft) {
  cpu::soft_from_logits(z, rows, view(table), soft.f32(), scratch_.f32(), pool_);
  for (int64_t i = 0; i < rows * table.columns; ++i) soft.f32()[i] *= soft_scale;
}

}  // namespace potluck
