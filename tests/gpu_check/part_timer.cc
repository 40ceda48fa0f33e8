// Each operation has been waited for when it returns, so what ran is its own.
#include "tests/gpu_check/part_timer.h"

namespace potluck {

double PartCost::seconds() const {
  double sum = 0;
  for (const KernelTime& time : kernels) sum += time.seconds;
  return sum;
}

PartTimer::PartTimer(Backend& backend, TimedDriver& driver)
    : ForwardingBackend(std::make_unique<ProfiledBackend>(backend)), driver_(driver) {}

StepCost PartTimer::take() {
  wait();
  driver_.take();
  return std::exchange(cost_, {});
}

void PartTimer::settle() {
  const StepWork work = profiled().take();
  const KernelTimes times = driver_.take();
  for (size_t part = 0; part < work.size(); ++part) {
    if (work[part].seconds == 0) continue;
    PartCost& cost = cost_[part];
    cost.work.stored_bytes += work[part].stored_bytes;
    cost.work.memory_bytes += work[part].memory_bytes;
    cost.work.cache_bytes += work[part].cache_bytes;
    for (const auto& [product, count] : work[part].operations)
      cost.work.operations[product] += count;
    for (size_t k = 0; k < times.size(); ++k) {
      cost.kernels[k].seconds += times[k].seconds;
      cost.kernels[k].launches += times[k].launches;
    }
  }
}

void PartTimer::unpack(const void* wire, DType type, int64_t rows, int64_t n, Tensor x) {
  ForwardingBackend::unpack(wire, type, rows, n, x);
  settle();
}

void PartTimer::pack(Tensor x, DType type, int64_t rows, int64_t n, void* wire) {
  ForwardingBackend::pack(x, type, rows, n, wire);
  settle();
}

void PartTimer::rms_norm(Tensor x, Tensor weight, float eps, int rows, int64_t n, Tensor out) {
  ForwardingBackend::rms_norm(x, weight, eps, rows, n, out);
  settle();
}

void PartTimer::matmul(Tensor x, const Matrix& w, int rows, Tensor out) {
  ForwardingBackend::matmul(x, w, rows, out);
  settle();
}

void PartTimer::qkv(const Qkv& op) {
  ForwardingBackend::qkv(op);
  settle();
}

void PartTimer::attention(const Attention& op) {
  ForwardingBackend::attention(op);
  settle();
}

void PartTimer::gelu_mul(Tensor gate, Tensor up, int rows, int64_t n, Tensor out) {
  ForwardingBackend::gelu_mul(gate, up, rows, n, out);
  settle();
}

void PartTimer::route(const Route& op) {
  ForwardingBackend::route(op);
  settle();
}

void PartTimer::experts(const Experts& op) {
  ForwardingBackend::experts(op);
  settle();
}

void PartTimer::add_norm(const AddNorm& op) {
  ForwardingBackend::add_norm(op);
  settle();
}

void PartTimer::embed(Tensor ids, const Matrix& table, float embed_scale, int rows, Tensor out) {
  ForwardingBackend::embed(ids, table, embed_scale, rows, out);
  settle();
}

void PartTimer::canvas_input(const CanvasInput& op) {
  ForwardingBackend::canvas_input(op);
  settle();
}

void PartTimer::vocab_attention(const VocabAttention& op) {
  ForwardingBackend::vocab_attention(op);
  settle();
}

}  // namespace potluck
