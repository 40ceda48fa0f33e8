// Matrices on a card: they lie there as they are stored, or as panels.
#include <algorithm>

#include "backends/finite_weights.h"
#include "backends/gpu/device_memory.h"
#include "backends/gpu/gpu_backend.h"
#include "backends/gpu/panel_types.h"
#include "kernels/cpu/reference/finite.h"
#include "kernels/gpu/exact/matmul.h"
#include "kernels/gpu/fast/f16_rows.h"
#include "kernels/gpu/fast/matmul_f16.h"
#include "kernels/gpu/fast/panels.h"
#include "topology/base/check.h"

namespace potluck {
namespace {

constexpr int64_t kBytesAtOnce = 8 << 20;  // that are checked, and then sent as they are

// Rows [first, first + count) of w hold finite values.
void check_rows(const cpu::WeightView& w, int64_t first, int64_t count) {
  const int64_t bad = cpu::first_not_finite(w.slice(first, count));
  const int64_t blocks = w.columns / block_shape(w.type).values;
  if (bad >= 0) check_block(w, first * blocks + bad);
}

}  // namespace

Matrix GpuBackend::load_matrix(std::shared_ptr<const std::byte> source, DType type, int64_t count,
                               int64_t rows, int64_t columns, Care care) {
  const gpu::Stored own = stored_type(type);
  const cpu::WeightView blocks{type, source.get(), count * rows, columns};
  if (fast() && options_.int8_experts && count > 1 && has_panels(own)) {
    load_panels(blocks, count);
    return {static_cast<int>(matrices_.size()) - 1, type, count, rows, columns, care};
  }
  const int64_t bytes = row_bytes(type, columns);
  const Tensor memory = allocate(count * rows * bytes);
  send_blocks(blocks, 0, blocks.rows, memory);
  matrices_.push_back({{.blocks = at<uint8_t>(memory),
                        .rows = rows,
                        .columns = columns,
                        .row_bytes = bytes,
                        .type = own}});
  return {static_cast<int>(matrices_.size()) - 1, type, count, rows, columns, care};
}

// Rows are checked just before they are copied, so that memory is read once.
void GpuBackend::send_blocks(const cpu::WeightView& w, int64_t first, int64_t count, Tensor to) {
  const int64_t row = row_bytes(w.type, w.columns);
  if (list_->touches(to.data, to.bytes)) list_->run();
  const auto blocks_at = [&](int64_t r) {
    return static_cast<const std::byte*>(w.slice(r, 1).blocks);
  };
  if (options_.put_blocks &&
      options_.put_blocks(blocks_at(first), count * row, at<std::byte>(to), stream_))
    return;
  const int64_t together = std::max<int64_t>(1, kBytesAtOnce / row);
  for (int64_t done = 0; done < count; done += together) {
    const int64_t rows = std::min(together, count - done);
    check_rows(w, first + done, rows);
    staging_->send(blocks_at(first + done), rows * row, at<std::byte>(to) + done * row);
  }
}

// Experts go to the card one by one, each to the same place and from there into its panels.
void GpuBackend::load_panels(const cpu::WeightView& w, int64_t count) {
  const gpu::Stored stored = stored_type(w.type);
  const gpu::PanelFormat format = gpu::panel_format(stored);
  const int64_t rows = w.rows / count, columns = w.columns, panels = gpu::panels_of(rows);
  const size_t expert_panels = panels * gpu::panel_bytes(format, columns);
  const Tensor memory = allocate(count * expert_panels);
  const int64_t row = row_bytes(w.type, columns);
  const size_t expert = rows * row;
  reserve(staged_, expert);
  for (int64_t e = 0; e < count; ++e) {
    send_blocks(w, e * rows, rows, staged_);
    list_->add(gpu::Panels{{.blocks = at<uint8_t>(staged_),
                            .rows = rows,
                            .columns = columns,
                            .row_bytes = row,
                            .type = stored},
                           at<uint8_t>(memory, e * expert_panels)},
               columns / gpu::kPanelColumns, panels);
  }
  matrices_.push_back({{at<uint8_t>(memory), rows, columns, row, stored}, true});
}

const GpuBackend::Stored& GpuBackend::stored(const Matrix& matrix) const {
  CHECK(!matrix.empty() && matrix.id < std::ssize(matrices_), matrix.id);
  return matrices_[matrix.id];
}

// rounded_ = the rows in f16, with a power of two for each.
void GpuBackend::round_rows(const float* x, int64_t rows, int64_t n) {
  list_->add(gpu::F16Rows{x, at<uint16_t>(rounded_), f32(rounded_scale_), n, gpu::f16_stride(n)},
             rows);
}

void GpuBackend::multiply(const float* x, const gpu::Weights& w, int rows, float* out,
                          bool in_f16) {
  if (in_f16) {
    round_rows(x, rows, w.columns);
    multiply_rounded(w, rows, out);
    return;
  }
  const Work work{rows, 2.0 * w.rows * w.columns, gpu::kMatmulRows};
  in_parts(work, [&](int64_t first, int32_t some) {
    list_->add(gpu::Matmul{x + first * w.columns, w, out + first * w.rows, some},
               blocks_of(w.rows, gpu::kMatmulOutputs), blocks_of(some, gpu::kMatmulRows));
  });
}

// The product of the rows in `rounded_`.
void GpuBackend::multiply_rounded(const gpu::Weights& w, int rows, float* out) {
  const int64_t stride = gpu::f16_stride(w.columns);
  const Work work{rows, 2.0 * w.rows * w.columns, gpu::kMatmulF16Rows};
  in_parts(work, [&](int64_t first, int32_t some) {
    list_->add(gpu::MatmulF16{at<uint16_t>(rounded_) + first * stride, f32(rounded_scale_) + first,
                              w, out + first * w.rows, some},
               blocks_of(w.rows, gpu::kMatmulF16Outputs), blocks_of(some, gpu::kMatmulF16Rows));
  });
}

void GpuBackend::matmul(Tensor x, const Matrix& w, int rows, Tensor out) {
  multiply(f32(x), stored(w).weights, rows, f32(out), fast() && w.care != Care::finest);
}

}  // namespace potluck
