// GpuBackend: the operations on one card, by the kernels of kernels/gpu, whoever made the card. It
// is compiled once and knows no vendor: a GpuDriver reaches the card.
//
// Operations are held in a list until the host waits or moves bytes, and a pass that has run before
// is launched as one graph (launch_list.h). What goes between host and card rests in pinned memory
// on the way.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "backends/gpu/device_memory.h"
#include "backends/gpu/gpu_driver.h"
#include "backends/gpu/launch_list.h"
#include "backends/gpu/pinned_arena.h"
#include "backends/gpu/staging.h"
#include "kernels/cpu/reference/weight_view.h"
#include "kernels/gpu/device/stored.h"
#include "kernels/gpu/exact/attention.h"
#include "kernels/gpu/exact/group_rows.h"
#include "kernels/gpu/exact/rope_angles.h"
#include "kernels/gpu/exact/vocab_attention.h"

namespace potluck {

// Puts `bytes` of a matrix's blocks at `to`, on the stream, without reading them; false: it does
// not know these, and they are copied.
using PutBlocks =
    std::function<bool(const std::byte* blocks, size_t bytes, std::byte* to, GpuStream stream)>;

struct GpuOptions {
  std::string name;  // "cuda:0"
  Precision precision = Precision::exact;
  bool use_graphs = true;
  int64_t chunk_ids = 8192;  // of the vocabulary at a time
  bool int8_experts = true;  // where products are fast; else f16
  double flops_at_once = 0;  // of a launch at most; 0: as many as the card's display allows
  bool ranges = false;       // for a profiler (ranges.h)
  PutBlocks put_blocks;      // for checks that make weights on the card
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

  // For benches. The event comes to pass when all that was enqueued before has run; what is
  // enqueued on one side of it is no pass with what is enqueued on the other.
  GpuDriver& driver() const { return *driver_; }
  void record(GpuEvent event);

 private:
  // A matrix as it lies on the card: in its blocks, or in panels (kernels/gpu/fast/panels.h), which
  // experts have where products are fast and their type has panels.
  struct Stored {
    gpu::Weights weights;
    bool has_panels = false;
  };
  // The angles of a pass, for layers that turn alike.
  struct Angles {
    const StepParams* params = nullptr;
    int rows = 0, head_dim = 0, pairs = 0;
    float theta = 0;
    Tensor table;

    bool turn_like(const Angles& o) const {
      return head_dim == o.head_dim && pairs == o.pairs && theta == o.theta;
    }
  };
  // Rows that launches may share, in steps of those that a block takes.
  struct Work {
    int64_t rows;
    double flops_of_row;
    int64_t step;
  };
  // wait() brings these bytes to the host.
  struct Download {
    const std::byte* pinned;
    void* host;
    size_t bytes;
  };

  void check_limits(const ModelSpec& spec) const;
  // Calls each(first, rows) for parts that are not too much for a launch (watchdog.h).
  template <typename Each>
  void in_parts(const Work& work, const Each& each) const;
  void reserve_stage(const Limits& limits);
  void reserve_angles(const Limits& limits);
  void reserve_rounded(const Limits& limits);
  void reserve_spans(const Limits& limits);
  void reserve_head(const Limits& limits);
  void reserve(Tensor& scratch, size_t bytes);  // where it is smaller
  bool fast() const { return options_.precision == Precision::fast; }
  const Stored& stored(const Matrix& matrix) const;
  void load_panels(const cpu::WeightView& w, int64_t count);
  void round_rows(const float* x, int64_t rows, int64_t n);
  void fill_words(uint32_t word, int64_t count, void* to);
  void multiply(const float* x, const gpu::Weights& w, int rows, float* out, bool in_f16);
  void multiply_rounded(const gpu::Weights& w, int rows, float* out);
  void mix(const Experts& op);
  gpu::RowTiles row_tiles() const { return {at<gpu::RowTile>(tiles_), i32(tile_count_)}; }
  int32_t expert_tile_rows(const Experts& op) const;
  int64_t expert_tiles(const Experts& op) const;
  const gpu::RopeAngle* angles_of(const Qkv& op);
  void forget_angles(Tensor of);  // these parameters, which may be others by now
  void attend_by_spans(gpu::Attention a, int64_t rows, int canvas_spans);
  void gate_up_and_down(const Experts& op);
  void gate_up_in_f16(const Experts& op);
  void gate_up_in_int8(const Experts& op);
  void down_in_f16(const Experts& op);
  void down_in_int8(const Experts& op);
  void add_chunk(const gpu::Weights& table, const gpu::VocabChunk& chunk, const StepParams* params,
                 int rows, float* soft);
  void sum_chunk(const gpu::VocabSum& sum);
  void finish(gpu::VocabFinish finish, int rows);
  void count_chunk(const gpu::VocabChunk& chunk, int rows);
  void show(const LogitTap& tap, const gpu::VocabChunk& chunk, int rows);
  std::byte* take_pinned(size_t bytes);
  void send(const void* host, size_t bytes, Tensor to, size_t offset = 0);
  void send_blocks(const cpu::WeightView& w, int64_t first, int64_t count, Tensor to);
  void fetch(const void* from, size_t bytes, void* host);
  void drain();  // runs what was enqueued and ends the downloads

  std::unique_ptr<GpuDriver> driver_;
  GpuOptions options_;
  std::unique_ptr<Ranges> ranges_;  // null: not wanted
  double flops_at_once_;            // of a launch at most
  int64_t keys_ = 0;                // of an attention row at most
  GpuStream stream_;
  std::vector<Tensor> tensors_;
  std::vector<Stored> matrices_;
  std::unique_ptr<PinnedArena> pinned_;
  std::unique_ptr<Staging> staging_;
  std::unique_ptr<LaunchList> list_;
  std::vector<Download> downloads_;

  // Scratch. Experts: the slots' grouping, [slots, inner] and [slots, H].
  Tensor order_, place_, begin_, tiles_, tile_count_, inner_, outputs_;
  // The vocabulary: [rows, ids of a chunk], and for each row what it has come to.
  Tensor logits_, partial_, keep_, used_, counted_;
  Tensor wire_;  // rows in their wire form
  // Fast products: rows in f16 or int8, their scales, and the experts' inner values in int8.
  Tensor rounded_, rounded_scale_, inner_q8_, inner_scale_;
  Tensor staged_;     // an expert's blocks on their way into panels
  Angles angles_[2];  // a model has two kinds of layers; the one used last is first
  Tensor spans_;      // of fast attention: what each span of keys gives
};

template <typename Each>
void GpuBackend::in_parts(const Work& work, const Each& each) const {
  const int64_t most = std::min<double>(work.rows, flops_at_once_ / work.flops_of_row);
  const int64_t part = std::max(most / work.step, int64_t{1}) * work.step;
  for (int64_t first = 0; first < work.rows; first += part)
    each(first, std::min(part, work.rows - first));
}

}  // namespace potluck
