// ProfiledBackend times the operations of another Backend and counts their work from their shapes.
// It computes nothing itself: results are the other's, bit for bit. A Stopwatch marks begin and end
// of each operation, so that what was enqueued before is not counted. What counting needs of device
// memory is copied there and read later, so that nothing waits between operations.
//
// A multiplication and an addition of a product are two operations; all else (norms, softmax, GELU)
// counts none. Keys count if a row sees them, ids if Σ p·E reads them.
// Bytes are those that a part reads and writes, each once. Stored bytes are weights, K and V,
// without the experts that no row hits; they come from memory. Activations come from memory too
// where weights and the operations between have driven them out of the caches (memory_bytes: those
// of norms), and from a cache where one operation hands them to the next (cache_bytes).
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "backends/backend.h"
#include "backends/part.h"
#include "backends/product.h"
#include "backends/profiled/stopwatch.h"

namespace potluck {

struct PartWork {
  double seconds = 0;
  double stored_bytes = 0, memory_bytes = 0, cache_bytes = 0;
  std::map<Product, double> operations;
};

using StepWork = std::array<PartWork, kParts>;  // by Part

class ProfiledBackend final : public Backend {
 public:
  // The backend must outlive this. Without a stopwatch of its own it is the host's.
  explicit ProfiledBackend(Backend& backend, std::unique_ptr<Stopwatch> stopwatch = nullptr);

  // Returns what ran since the last take(), while the profile was on, as it is at first.
  StepWork take();
  void turn(bool on) { on_ = on; }

  DeviceInfo info() const override { return backend_.info(); }
  Tensor allocate(size_t bytes) override { return backend_.allocate(bytes); }
  void upload(const void* host, size_t bytes, Tensor to, size_t offset) override {
    backend_.upload(host, bytes, to, offset);
  }
  void download(Tensor from, size_t bytes, void* host, size_t offset) override {
    backend_.download(from, bytes, host, offset);
  }
  void copy(Tensor from, size_t from_offset, Tensor to, size_t to_offset, size_t bytes) override {
    backend_.copy(from, from_offset, to, to_offset, bytes);
  }
  void fill(float value, size_t count, Tensor to, size_t offset) override {
    backend_.fill(value, count, to, offset);
  }
  void wait() override { backend_.wait(); }
  Tensor load_vector(std::span<const float> values) override {
    return backend_.load_vector(values);
  }
  Matrix load_matrix(std::shared_ptr<const std::byte> blocks, DType type, int64_t count,
                     int64_t rows, int64_t columns, Care care) override {
    return backend_.load_matrix(std::move(blocks), type, count, rows, columns, care);
  }
  void reserve(const Limits& limits) override { backend_.reserve(limits); }

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
  // An operation has left this in device memory, to be counted when it is read.
  struct Kept {
    Tensor copy;
    size_t bytes;
    std::function<void(const void* values)> count;
  };

  PartWork& of(Part part) { return work_[static_cast<size_t>(part)]; }
  template <typename Operation>
  bool timed(Part part, const Operation& operation);  // whether its work counts
  void keep(Tensor tensor, size_t bytes, std::function<void(const void* values)> count);
  void settle();  // counts what was timed and kept
  void count_keys(const StepParams& params, const AttentionLayer& layer, DType type);
  void count_product(Part part, Product::Kind kind, const Matrix& w, double row_products);

  Backend& backend_;
  std::unique_ptr<Stopwatch> stopwatch_;
  Tensor ids_summed_;  // [1] i32, of the last vocabulary attention
  bool on_ = true;
  StepWork work_;
  std::vector<Part> timed_;     // the operations between marks
  std::vector<Tensor> copies_;  // for kept_, one after another
  std::vector<Kept> kept_;
  Part mlp_ = Part::dense;  // of the last products, which gelu_mul joins
};

}  // namespace potluck
