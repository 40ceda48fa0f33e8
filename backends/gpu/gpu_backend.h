// GpuBackend: the operations on one card, by the kernels of kernels/gpu, whoever made the card. It
// is compiled once and knows no vendor: a GpuDriver reaches the card.
//
// Operations are held in a list until the host waits or moves bytes, and a pass that has run before
// is launched as one graph (launch_list.h). What goes between host and card rests in pinned memory
// on the way.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "backends/gpu/gpu_driver.h"
#include "backends/gpu/launch_list.h"
#include "backends/gpu/pinned_arena.h"
#include "kernels/gpu/device/stored.h"
#include "kernels/gpu/exact/vocab_attention.h"

namespace potluck {

struct GpuOptions {
  std::string name;  // "cuda:0"
  Precision precision = Precision::exact;
  bool use_graphs = true;
  int64_t chunk_ids = 8192;  // of the vocabulary at a time
};

class GpuBackend final : public Backend {
 public:
  // The driver has loaded its code.
  GpuBackend(std::unique_ptr<GpuDriver> driver, const GpuOptions& options);
  ~GpuBackend() override;

  DeviceInfo info() const override;
  Tensor allocate(size_t bytes) override;
  void upload(const void* host, size_t bytes, Tensor to, size_t offset) override;
  void download(Tensor from, size_t bytes, void* host, size_t offset) override;
  void copy(Tensor from, size_t from_offset, Tensor to, size_t to_offset, size_t bytes) override;
  void fill(float value, size_t count, Tensor to, size_t offset) override;
  void wait() override;
  Tensor load_vector(std::span<const float> values) override;
  Matrix load_matrix(std::shared_ptr<const std::byte> blocks, DType type, int64_t count,
                     int64_t rows, int64_t columns, Care care) override;
  void reserve(const Limits& limits) override;
  void unpack(const void* wire, DType type, int64_t rows, int64_t n, Tensor x) override;
  void pack(Tensor x, DType type, int64_t rows, int64_t n, void* wire) override;

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
  // A matrix as it lies on the card: in its blocks, or q8_0 in the panels of q8_panels.h.
  struct Stored {
    gpu::Weights weights;
    Tensor memory;
    bool panels = false;
  };
  // wait() brings these bytes to the host.
  struct Download {
    const std::byte* pinned;
    void* host;
    size_t bytes;
  };

  void reserve_stage(const Limits& limits);
  void reserve_rounded(const Limits& limits);
  void reserve_head(const Limits& limits);
  void release(Tensor tensor);
  void reserve(Tensor& scratch, size_t bytes);  // where it is smaller
  bool fast() const { return options_.precision == Precision::fast; }
  const Stored& stored(const Matrix& matrix) const;
  void make_panels(const ModelSpec& spec);
  void round_rows(const float* x, int64_t rows, int64_t n);
  void fill_words(uint32_t word, int64_t count, void* to);
  void send_dequantized(const std::byte* source, DType type, int64_t values, Tensor to);
  void multiply(const float* x, const gpu::Weights& w, int rows, float* out, bool in_f16);
  void gate_up_and_down(const Experts& op);
  void gate_up_and_down_f16(const Experts& op);
  void gate_up_and_down_q8(const Experts& op);
  void add_chunk(const gpu::Weights& table, const gpu::VocabChunk& chunk, const StepParams* params,
                 int rows, float* soft);
  void count_chunk(const gpu::VocabChunk& chunk, int rows);
  void show(const LogitTap& tap, const gpu::VocabChunk& chunk, int rows);
  std::byte* take_pinned(size_t bytes);
  void send(const void* host, size_t bytes, void* to);
  void fetch(const void* from, size_t bytes, void* host);
  void drain();  // runs what was enqueued and ends the downloads

  std::unique_ptr<GpuDriver> driver_;
  GpuOptions options_;
  GpuStream stream_;
  std::vector<Tensor> tensors_;
  std::vector<Stored> matrices_;
  std::unique_ptr<PinnedArena> pinned_;
  std::unique_ptr<LaunchList> list_;
  std::vector<Download> downloads_;

  // Scratch. Experts: the slots' grouping, [slots, inner] and [slots, H].
  Tensor order_, place_, begin_, tiles_, tile_count_, inner_, outputs_;
  // The vocabulary: [rows, ids of a chunk], and for each row what it has come to.
  Tensor logits_, partial_, keep_, used_, counted_;
  Tensor wire_;  // rows in their wire form
  // Fast products: rows in f16 or int8, their scales, and the experts' inner values in int8.
  Tensor rounded_, rounded_scale_, inner_q8_, inner_scale_;
};

}  // namespace potluck
