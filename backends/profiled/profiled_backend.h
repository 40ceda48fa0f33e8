// ProfiledBackend: a CpuBackend whose operations are timed, and counted from their shapes. It
// computes nothing itself: results are the other's, bit for bit.
//
// operations: a multiplication and an addition of a product are two; all else (norms, softmax,
// GELU) counts none. Only keys that a row sees count, only ids that Σ p·E reads.
// bytes: what a part reads and writes, each once. Stored ones come from memory: weights, K and V;
// no expert that no row hits. Far ones are activations that come from memory too, since weights
// and the operations between have driven them out of the caches: those of norms. Passing ones are
// activations that stay in cache on their way.
#pragma once

#include <array>
#include <map>

#include "backends/cpu/cpu_backend.h"
#include "backends/part.h"
#include "kernels/cpu/peaks.h"

namespace potluck {

struct PartWork {
  double seconds = 0;
  double stored_bytes = 0, far_bytes = 0, passing_bytes = 0;
  std::map<cpu::ProductKind, double> operations;
};

using StepWork = std::array<PartWork, kParts>;  // by Part

class ProfiledBackend final : public Backend {
 public:
  explicit ProfiledBackend(CpuBackend& backend) : backend_(backend) {}

  // What ran since the last take().
  StepWork take();

  DeviceInfo info() const override { return backend_.info(); }
  Tensor allocate(size_t bytes) override { return backend_.allocate(bytes); }
  void free(Tensor& tensor) override { backend_.free(tensor); }
  void upload(const void* host, size_t bytes, Tensor to, size_t offset) override {
    backend_.upload(host, bytes, to, offset);
  }
  void download(Tensor from, size_t bytes, void* host, size_t offset) override {
    backend_.download(from, bytes, host, offset);
  }
  void copy(Tensor from, size_t from_offset, Tensor to, size_t to_offset, size_t bytes) override {
    backend_.copy(from, from_offset, to, to_offset, bytes);
  }
  void wait() override { backend_.wait(); }
  Matrix load_matrix(std::shared_ptr<const std::byte> blocks, DType type, int64_t count,
                     int64_t rows, int64_t columns, Care care) override {
    return backend_.load_matrix(std::move(blocks), type, count, rows, columns, care);
  }
  void reserve(const Limits& limits) override { backend_.reserve(limits); }

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
  PartWork& of(Part part) { return work_[static_cast<size_t>(part)]; }
  template <typename Operation>
  void timed(Part part, const Operation& operation);
  cpu::ProductKind product(DType type, cpu::Use use) const;
  void count_product(Part part, const Matrix& w, cpu::Use use, double row_products);

  CpuBackend& backend_;
  StepWork work_;
  Part mlp_ = Part::dense;  // of the last products, which gelu_mul joins
};

}  // namespace potluck
