// CpuBackend runs kernels/cpu on host memory. Operations run at once, so wait() has nothing to wait
// for. With Isa::portable every operation is the reference's (exact); with another, the heavy ones
// are the fast kernels of that instruction set.
#pragma once

#include <algorithm>
#include <vector>

#include "backends/backend.h"
#include "backends/product.h"
#include "kernels/cpu/fast/peaks.h"
#include "kernels/cpu/machine/isa.h"
#include "kernels/cpu/machine/pages.h"
#include "kernels/cpu/machine/thread_pool.h"
#include "kernels/cpu/packed/choose.h"
#include "kernels/cpu/reference/weight_view.h"

namespace potluck {

// The memory that a CpuBackend has taken from the system.
struct ReservedBytes {
  uint64_t tensors = 0;  // scratch is one of them
  uint64_t panels = 0;   // stored panels of experts and other matrices
};

class CpuBackend final : public Backend {
 public:
  // With 0 threads it takes one for each core that this process may use.
  explicit CpuBackend(int threads, cpu::Isa isa = cpu::Isa::portable, bool pin = false);
  ~CpuBackend() override;

  cpu::Isa isa() const { return isa_; }
  int threads() const { return pool_.threads(); }
  ReservedBytes reserved() const;
  // How this backend multiplies where an operation needs such a product.
  cpu::ProductKind product_kind(const Product& product) const;

  DeviceInfo info() const override;
  Tensor allocate(size_t bytes) override;
  void upload(const void* host, size_t bytes, Tensor to, size_t offset) override;
  void download(Tensor from, size_t bytes, void* host, size_t offset) override;
  void copy(Tensor from, size_t from_offset, Tensor to, size_t to_offset, size_t bytes) override;
  void fill(float value, size_t count, Tensor to, size_t offset) override;
  void wait() override {}
  Tensor load_vector(std::span<const float> values) override;
  Matrix load_matrix(std::shared_ptr<const std::byte> blocks, DType type, int64_t count,
                     int64_t rows, int64_t columns, Care care) override;
  void reserve(const Limits& limits) override;
  void unpack(const void* wire, DType type, int64_t rows, int64_t n, Tensor x) override;
  void pack(Tensor x, DType type, int64_t rows, int64_t n, void* wire) override;
  void unpack(Tensor wire, DType type, int64_t rows, int64_t n, Tensor x) override;
  void pack(Tensor x, DType type, int64_t rows, int64_t n, Tensor wire) override;

  void rms_norm(Tensor x, Tensor weight, float eps, int rows, int64_t n, Tensor out) override;
  void matmul(Tensor x, const Matrix& w, int rows, Tensor out) override;
  void qkv(const Qkv& op) override;
  void attention(const Attention& op) override;
  void gelu_mul(Tensor gate, Tensor up, int rows, int64_t n, Tensor out) override;
  void route(const Route& op) override;
  void experts(const Experts& op) override;
  void add_norm(const AddNorm& op) override;
  void embed(Tensor ids, const Matrix& table, float embed_scale, int rows, Tensor out) override;
  void canvas_input(const CanvasInput& op) override;
  void vocab_attention(const VocabAttention& op) override;
  void soft_from_logits(const float* z, const Matrix& table, float soft_scale, int rows,
                        Tensor soft) override;

 private:
  struct Stored {
    std::shared_ptr<const std::byte> bytes;
    cpu::WeightView view;    // [count · rows, columns]
    size_t panel_bytes = 0;  // of stored panels (kernels/cpu/packed/packed_product.h); 0: none
  };
  static cpu::Use use_of(const Matrix& matrix);  // by fast products
  bool stores_panels(const Matrix& matrix) const;
  const Stored& stored(const Matrix& matrix) const;
  const cpu::WeightView& view(const Matrix& matrix) const { return stored(matrix).view; }
  Stored store_panels(const cpu::PackedProduct& product, const cpu::WeightView& view,
                      int64_t count);
  void reserve_stage(const Limits& limits);
  void reserve_head(const Limits& limits);
  static size_t qkv_scratch(int64_t kv_width, int64_t head_dim, int threads);  // bytes

  bool fast() const { return isa_ != cpu::Isa::portable; }
  void need_scratch(size_t bytes) { scratch_bytes_ = std::max(scratch_bytes_, bytes); }
  void reserve_fast(const Limits& limits);

  const cpu::Isa isa_;
  cpu::ThreadPool pool_;
  std::vector<Tensor> tensors_;  // the small ones; the others lie in pages_
  std::vector<cpu::Pages> pages_;
  std::vector<Stored> matrices_;
  size_t scratch_bytes_ = 0;
  Tensor scratch_;               // enough for the largest operation
  size_t attention_stride_ = 0;  // floats that attention needs for a thread
};

}  // namespace potluck
