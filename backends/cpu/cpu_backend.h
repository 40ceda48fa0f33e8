// CpuBackend: kernels/cpu on host memory. Operations run at once, so wait() has nothing to wait
// for. With Isa::portable every operation is the reference's (exact); with another, the heavy ones
// are the fast kernels of that instruction set.
#pragma once

#include <algorithm>
#include <vector>

#include "backends/backend.h"
#include "kernels/cpu/machine/isa.h"
#include "kernels/cpu/machine/pages.h"
#include "kernels/cpu/machine/thread_pool.h"
#include "kernels/cpu/packed/packed_product.h"
#include "kernels/cpu/reference/reference.h"

namespace potluck {

// What a CpuBackend has taken from the system.
struct ReservedBytes {
  uint64_t tensors = 0;  // scratch among them
  uint64_t panels = 0;   // experts reordered
};

class CpuBackend final : public Backend {
 public:
  // threads 0: one for each core this process may use.
  explicit CpuBackend(int threads, cpu::Isa isa = cpu::Isa::portable, bool pin = false);
  ~CpuBackend() override;

  cpu::Isa isa() const { return isa_; }
  int threads() const { return pool_.threads(); }
  ReservedBytes reserved() const;
  // Rows of E that Σ p·E read in the last vocab_attention: those that weigh something.
  int64_t ids_summed() const { return ids_summed_; }

  DeviceInfo info() const override;
  Tensor allocate(size_t bytes) override;
  void free(Tensor& tensor) override;
  void upload(const void* host, size_t bytes, Tensor to, size_t offset) override;
  void download(Tensor from, size_t bytes, void* host, size_t offset) override;
  void copy(Tensor from, size_t from_offset, Tensor to, size_t to_offset, size_t bytes) override;
  void wait() override {}
  Matrix load_matrix(std::shared_ptr<const std::byte> blocks, DType type, int64_t count,
                     int64_t rows, int64_t columns, Care care) override;
  static cpu::Use use_of(const Matrix& matrix);  // by fast products
  void reserve(const Limits& limits) override;
  void unpack(const void* wire, DType type, int64_t rows, int64_t n, Tensor x) override;
  void pack(Tensor x, DType type, int64_t rows, int64_t n, void* wire) override;

  void rms_norm(Tensor x, Tensor weight, float eps, int rows, int64_t n, Tensor out) override;
  void matmul(Tensor x, const Matrix& w, int rows, Tensor out) override;
  void qkv(Tensor params, const AttentionLayer& layer, Tensor q_norm, Tensor k_norm, Tensor q,
           Tensor k, Tensor v, const KvLayer& kv, const KvLayer& fresh, int rows) override;
  void attention(Tensor params, const AttentionLayer& layer, Tensor q, const KvLayer& kv,
                 const KvLayer& fresh, int rows, Tensor out) override;
  void gelu_mul(Tensor gate, Tensor up, int rows, int64_t n, Tensor out) override;
  void route(Tensor x, const RouterWeights& router, int used, float eps, int rows, Tensor expert,
             Tensor weight) override;
  void experts(Tensor x, const Matrix& gate_up, const Matrix& down, int used, Tensor expert,
               Tensor weight, int rows, Tensor out) override;
  void add_norm(Tensor params, Tensor x, const Branch& a, const Branch& b, Tensor weight,
                Tensor scale, float eps, int rows, int64_t n, DType stream, Tensor out) override;
  void embed(Tensor ids, const Matrix& table, float embed_scale, int rows, Tensor out) override;
  void canvas_input(Tensor params, Tensor x, Tensor s, float eps, int rows, int64_t n, DType stream,
                    Tensor out) override;
  void vocab_attention(Tensor params, Tensor h, const Matrix& table, float softcap,
                       float soft_scale, int rows, Tensor candidates, Tensor soft,
                       const LogitTap& tap) override;
  void soft_from_logits(const float* z, const Matrix& table, float soft_scale, int rows,
                        Tensor soft) override;

 private:
  struct Stored {
    std::shared_ptr<const std::byte> bytes;
    cpu::WeightView view;  // [count · rows, columns]
    size_t panel_bytes =
        0;  // of blocks that are stored panels (kernels/cpu/packed/packed_product.h)
  };
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
  Tensor scratch_;               // of the largest operation
  size_t attention_stride_ = 0;  // floats of attention's scratch a thread
  int64_t ids_summed_ = 0;
};

// The instruction set that the options ask for; Isa::portable for exact. Throws Fault{input} for an
// unknown one, or one that this machine has not.
cpu::Isa isa_of(const BackendOptions& options);

}  // namespace potluck
