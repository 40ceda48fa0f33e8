// A Backend that hands every call to another: the ground of those that change one thing.
#pragma once

#include <memory>
#include <utility>

#include "backends/backend.h"

namespace potluck {

class ForwardingBackend : public Backend {
 public:
  explicit ForwardingBackend(std::unique_ptr<Backend> below) : below_(std::move(below)) {}

  DeviceInfo info() const override { return below_->info(); }
  Tensor allocate(size_t bytes) override { return below_->allocate(bytes); }
  void upload(const void* host, size_t bytes, Tensor to, size_t offset) override {
    below_->upload(host, bytes, to, offset);
  }
  void download(Tensor from, size_t bytes, void* host, size_t offset) override {
    below_->download(from, bytes, host, offset);
  }
  void copy(Tensor from, size_t from_offset, Tensor to, size_t to_offset, size_t bytes) override {
    below_->copy(from, from_offset, to, to_offset, bytes);
  }
  void fill(float value, size_t count, Tensor to, size_t offset) override {
    below_->fill(value, count, to, offset);
  }
  void wait() override { below_->wait(); }
  Tensor load_vector(std::span<const float> values) override { return below_->load_vector(values); }
  Matrix load_matrix(std::shared_ptr<const std::byte> blocks, DType type, int64_t count,
                     int64_t rows, int64_t columns, Care care) override {
    return below_->load_matrix(std::move(blocks), type, count, rows, columns, care);
  }
  void reserve(const Limits& limits) override { below_->reserve(limits); }
  void unpack(const void* wire, DType type, int64_t rows, int64_t n, Tensor x) override {
    below_->unpack(wire, type, rows, n, x);
  }
  void pack(Tensor x, DType type, int64_t rows, int64_t n, void* wire) override {
    below_->pack(x, type, rows, n, wire);
  }
  void unpack(Tensor wire, DType type, int64_t rows, int64_t n, Tensor x) override {
    below_->unpack(wire, type, rows, n, x);
  }
  void pack(Tensor x, DType type, int64_t rows, int64_t n, Tensor wire) override {
    below_->pack(x, type, rows, n, wire);
  }
  void rms_norm(Tensor x, Tensor weight, float eps, int rows, int64_t n, Tensor out) override {
    below_->rms_norm(x, weight, eps, rows, n, out);
  }
  void matmul(Tensor x, const Matrix& w, int rows, Tensor out) override {
    below_->matmul(x, w, rows, out);
  }
  void qkv(const Qkv& op) override { below_->qkv(op); }
  void attention(const Attention& op) override { below_->attention(op); }
  void gelu_mul(Tensor gate, Tensor up, int rows, int64_t n, Tensor out) override {
    below_->gelu_mul(gate, up, rows, n, out);
  }
  void route(const Route& op) override { below_->route(op); }
  void experts(const Experts& op) override { below_->experts(op); }
  void add_norm(const AddNorm& op) override { below_->add_norm(op); }
  void embed(Tensor ids, const Matrix& table, float embed_scale, int rows, Tensor out) override {
    below_->embed(ids, table, embed_scale, rows, out);
  }
  void canvas_input(const CanvasInput& op) override { below_->canvas_input(op); }
  void vocab_attention(const VocabAttention& op) override { below_->vocab_attention(op); }
  void soft_from_logits(const float* z, const Matrix& table, float soft_scale, int rows,
                        Tensor soft) override {
    below_->soft_from_logits(z, table, soft_scale, rows, soft);
  }

 protected:
  Backend& below() { return *below_; }

 private:
  std::unique_ptr<Backend> below_;
};

}  // namespace potluck
