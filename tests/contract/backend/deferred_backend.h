// DeferredBackend is as asynchronous as the contract allows: it runs nothing before wait(), reads
// host buffers only then where it may, and spoils those that wait() is to fill as soon as it is
// given them. What was enqueued and never waited for is never run. Whoever forgets a wait, or lets
// a buffer go too early, computes with spoilt values.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "tests/contract/backend/forwarding_backend.h"

namespace potluck {

class DeferredBackend : public ForwardingBackend {
 public:
  using ForwardingBackend::ForwardingBackend;

  void upload(const void* host, size_t bytes, Tensor to, size_t offset) override;
  void download(Tensor from, size_t bytes, void* host, size_t offset) override;
  void copy(Tensor from, size_t from_offset, Tensor to, size_t to_offset, size_t bytes) override;
  void fill(float value, size_t count, Tensor to, size_t offset) override;
  void wait() override;
  Tensor load_vector(std::span<const float> values) override;
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

 protected:
  void later(std::function<void()> run) { queue_.push_back({std::move(run), false}); }
  // The same for what reads or writes a host buffer.
  void later_on_host(std::function<void()> run) { queue_.push_back({std::move(run), true}); }
  // Never runs what is enqueued on host buffers, which their owners may let go now.
  void forget_host();

 private:
  struct Enqueued {
    std::function<void()> run;
    bool host;
  };
  std::vector<Enqueued> queue_;
};

}  // namespace potluck
