// PartTimer: what each part of a step costs on a card: work as ProfiledBackend counts it, and time
// as the card's own events measure it, kernel by kernel.
#pragma once

#include <array>

#include "backends/profiled/profiled_backend.h"
#include "tests/contract/backend/forwarding_backend.h"
#include "tests/gpu_check/timed_driver.h"

namespace potluck {

struct PartCost {
  PartWork work;
  KernelTimes kernels{};
  double seconds() const;
};
using StepCost = std::array<PartCost, kParts>;

class PartTimer final : public ForwardingBackend {
 public:
  // The backend's driver is `driver`; both must outlive this.
  PartTimer(Backend& backend, TimedDriver& driver);

  // Returns what ran since the last take().
  StepCost take();

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

 private:
  ProfiledBackend& profiled() { return static_cast<ProfiledBackend&>(below()); }
  // Adds what the operation that has just run cost to the part that it belongs to.
  void settle();

  TimedDriver& driver_;
  StepCost cost_;
};

}  // namespace potluck
