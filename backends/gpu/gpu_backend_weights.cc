// Matrices on a card: those of a type that the kernels multiply lie there as they are stored, and
// all others in f32.
#include <algorithm>
#include <optional>
#include <vector>

#include "backends/gpu/device_memory.h"
#include "backends/gpu/gpu_backend.h"
#include "kernels/cpu/reference/dequantize.h"
#include "kernels/gpu/matmul.h"
#include "topology/base/check.h"

namespace potluck {
namespace {

constexpr int64_t kValuesAtOnce = 1 << 20;  // that are dequantized on the host

// Nothing: no kernel multiplies it.
std::optional<gpu::Stored> stored_type(DType type) {
  switch (type) {
    case DType::f32:
      return gpu::Stored::f32;
    case DType::f16:
      return gpu::Stored::f16;
    case DType::bf16:
      return gpu::Stored::bf16;
    case DType::q8_0:
      return gpu::Stored::q8_0;
    case DType::q4_0:
      return gpu::Stored::q4_0;
    case DType::q5_0:
      return gpu::Stored::q5_0;
    case DType::q5_1:
      return gpu::Stored::q5_1;
    case DType::iq4_nl:
      return gpu::Stored::iq4_nl;
    case DType::q4_k:
      return gpu::Stored::q4_k;
    case DType::q5_k:
      return gpu::Stored::q5_k;
    case DType::q6_k:
      return gpu::Stored::q6_k;
    default:
      return {};
  }
}

}  // namespace

gpu::Stored float_type(DType type) {
  CHECK(type == DType::f32 || type == DType::f16 || type == DType::bf16, dtype_name(type));
  return *stored_type(type);
}

gpu::Stored hop_type(DType type) {
  return type == DType::q8_0 ? gpu::Stored::q8_0 : float_type(type);
}

Matrix GpuBackend::load_matrix(std::shared_ptr<const std::byte> source, DType type, int64_t count,
                               int64_t rows, int64_t columns, Care care) {
  const std::optional<gpu::Stored> own = stored_type(type);
  const DType kept = own ? type : DType::f32;
  const size_t bytes = row_bytes(kept, columns);
  const Tensor memory = allocate(count * rows * bytes);
  if (own)
    send(source.get(), memory.bytes, memory.data);
  else
    send_dequantized(source.get(), type, count * rows * columns, memory);
  matrices_.push_back({.blocks = at<uint8_t>(memory),
                       .rows = rows,
                       .columns = columns,
                       .row_bytes = static_cast<int64_t>(bytes),
                       .type = own.value_or(gpu::Stored::f32)});
  return {static_cast<int>(matrices_.size()) - 1, type, count, rows, columns, care};
}

void GpuBackend::send_dequantized(const std::byte* source, DType type, int64_t values, Tensor to) {
  std::vector<float> some(std::min(values, kValuesAtOnce));
  for (int64_t first = 0; first < values; first += kValuesAtOnce) {
    const int64_t count = std::min(kValuesAtOnce, values - first);
    cpu::dequantize_row(type, source + row_bytes(type, first), some.data(), count);
    send(some.data(), count * sizeof(float), f32(to) + first);
  }
}

const gpu::Weights& GpuBackend::stored(const Matrix& matrix) const {
  CHECK(!matrix.empty() && matrix.id < std::ssize(matrices_), matrix.id);
  return matrices_[matrix.id];
}

void GpuBackend::multiply(const float* x, const gpu::Weights& w, int rows, float* out) {
  list_->add(gpu::Matmul{x, w, out, rows}, blocks_of(w.rows, gpu::kMatmulOutputs),
             blocks_of(rows, gpu::kMatmulRows));
}

void GpuBackend::matmul(Tensor x, const Matrix& w, int rows, Tensor out) {
  multiply(f32(x), stored(w), rows, f32(out));
}

}  // namespace potluck
