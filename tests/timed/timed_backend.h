// TimedBackend: a device whose compute is a sleep. It takes as long for a pass as it is told that
// such a device takes, and computes nothing: rows are zero, and each candidate is the same
// undecided one, so that an answer takes all the steps that it may. Memory, messages and everything
// above the seam are real. So many machines, unlike ones too, fit on one.
#pragma once

#include <vector>

#include "backends/backend.h"
#include "topology/base/clock.h"

namespace potluck {

// Milliseconds of a pass of as many rows as the model's canvas has; fewer or more take their share.
struct TimedSpeeds {
  double sliding_layer_ms = 0, full_layer_ms = 0, head_ms = 0;
  double message_ms = 0;                // of each pass beside its layers, whatever its rows
  uint64_t bytes = uint64_t{64} << 30;  // of memory that the device says it has
};

// From "sliding=2.5,full=3,head=9,message=0.2,bytes=8589934592"; what is not named is as above.
// Throws Fault{input}.
TimedSpeeds parse_speeds(const std::string& text);

class TimedBackend final : public Backend {
 public:
  explicit TimedBackend(TimedSpeeds speeds) : speeds_(speeds) {}
  ~TimedBackend() override;
  TimedBackend(const TimedBackend&) = delete;
  TimedBackend& operator=(const TimedBackend&) = delete;

  DeviceInfo info() const override;
  Tensor allocate(size_t bytes) override;
  void upload(const void* host, size_t bytes, Tensor to, size_t offset) override;
  void download(Tensor from, size_t bytes, void* host, size_t offset) override;
  void copy(Tensor from, size_t from_offset, Tensor to, size_t to_offset, size_t bytes) override;
  void fill(float value, size_t count, Tensor to, size_t offset) override;
  // Sleeps until the device would have done all that was enqueued.
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

 private:
  // The device is busy for so much longer.
  void spend(double ms);
  double share(int rows) const { return canvas_ ? double(rows) / canvas_ : 0; }

  const TimedSpeeds speeds_;
  int canvas_ = 0;
  int matrices_ = 0;
  Time busy_until_{};
  std::vector<void*> memory_;
};

}  // namespace potluck
