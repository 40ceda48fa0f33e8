// Puts every operation off until wait().
#include "tests/contract/backend/deferred_backend.h"

#include <cstring>

namespace potluck {
namespace {

constexpr int kSpoilt = 0xA5;

}  // namespace

void DeferredBackend::wait() {
  std::vector<Enqueued> queue;
  queue.swap(queue_);
  for (const Enqueued& enqueued : queue) enqueued.run();
  below().wait();
}

void DeferredBackend::forget_host() {
  std::erase_if(queue_, [](const Enqueued& enqueued) { return enqueued.host; });
}

void DeferredBackend::upload(const void* host, size_t bytes, Tensor to, size_t offset) {
  const auto* begin = static_cast<const std::byte*>(host);
  later([this, taken = std::vector<std::byte>(begin, begin + bytes), to, offset] {
    below().upload(taken.data(), taken.size(), to, offset);
  });
}

void DeferredBackend::download(Tensor from, size_t bytes, void* host, size_t offset) {
  std::memset(host, kSpoilt, bytes);
  later_on_host([=, this] { below().download(from, bytes, host, offset); });
}

void DeferredBackend::copy(Tensor from, size_t from_offset, Tensor to, size_t to_offset,
                           size_t bytes) {
  later([=, this] { below().copy(from, from_offset, to, to_offset, bytes); });
}

void DeferredBackend::fill(float value, size_t count, Tensor to, size_t offset) {
  later([=, this] { below().fill(value, count, to, offset); });
}

Tensor DeferredBackend::load_vector(std::span<const float> values) {
  const Tensor tensor = allocate(values.size_bytes());
  upload(values.data(), values.size_bytes(), tensor, 0);
  return tensor;
}

void DeferredBackend::unpack(const void* wire, DType type, int64_t rows, int64_t n, Tensor x) {
  later_on_host([=, this] { below().unpack(wire, type, rows, n, x); });
}

void DeferredBackend::pack(Tensor x, DType type, int64_t rows, int64_t n, void* wire) {
  std::memset(wire, kSpoilt, row_bytes(type, n) * static_cast<size_t>(rows));
  later_on_host([=, this] { below().pack(x, type, rows, n, wire); });
}

void DeferredBackend::unpack(Tensor wire, DType type, int64_t rows, int64_t n, Tensor x) {
  later([=, this] { below().unpack(wire, type, rows, n, x); });
}

void DeferredBackend::pack(Tensor x, DType type, int64_t rows, int64_t n, Tensor wire) {
  later([=, this] { below().pack(x, type, rows, n, wire); });
}

void DeferredBackend::rms_norm(Tensor x, Tensor weight, float eps, int rows, int64_t n,
                               Tensor out) {
  later([=, this] { below().rms_norm(x, weight, eps, rows, n, out); });
}

void DeferredBackend::matmul(Tensor x, const Matrix& w, int rows, Tensor out) {
  later([=, this] { below().matmul(x, w, rows, out); });
}

void DeferredBackend::qkv(const Qkv& op) {
  later([=, this] { below().qkv(op); });
}

void DeferredBackend::attention(const Attention& op) {
  later([=, this] { below().attention(op); });
}

void DeferredBackend::gelu_mul(Tensor gate, Tensor up, int rows, int64_t n, Tensor out) {
  later([=, this] { below().gelu_mul(gate, up, rows, n, out); });
}

void DeferredBackend::route(const Route& op) {
  later([=, this] { below().route(op); });
}

void DeferredBackend::experts(const Experts& op) {
  later([=, this] { below().experts(op); });
}

void DeferredBackend::add_norm(const AddNorm& op) {
  later([=, this] { below().add_norm(op); });
}

void DeferredBackend::embed(Tensor ids, const Matrix& table, float embed_scale, int rows,
                            Tensor out) {
  later([=, this] { below().embed(ids, table, embed_scale, rows, out); });
}

void DeferredBackend::canvas_input(const CanvasInput& op) {
  later([=, this] { below().canvas_input(op); });
}

void DeferredBackend::vocab_attention(const VocabAttention& op) {
  later([=, this] { below().vocab_attention(op); });
}

void DeferredBackend::soft_from_logits(const float* z, const Matrix& table, float soft_scale,
                                       int rows, Tensor soft) {
  later_on_host([=, this] { below().soft_from_logits(z, table, soft_scale, rows, soft); });
}

}  // namespace potluck
