// RawCard: a card without a backend, for kernels that are launched and timed one by one.
#pragma once

#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "backends/gpu/gpu_driver.h"

namespace potluck {

class RawCard final {
 public:
  explicit RawCard(std::shared_ptr<GpuDriver> driver);
  ~RawCard();
  RawCard(const RawCard&) = delete;
  RawCard& operator=(const RawCard&) = delete;

  GpuDriver& driver() { return *driver_; }
  GpuStream stream() const { return stream_; }

  // Memory that lives as long as this.
  template <typename T>
  T* make(size_t count) {
    return static_cast<T*>(make_bytes(count * sizeof(T)));
  }
  template <typename T>
  T* put(std::span<const T> values) {
    T* memory = make<T>(values.size());
    send(values.data(), values.size_bytes(), memory);
    return memory;
  }
  template <typename T>
  std::vector<T> get(const T* memory, size_t count) {
    std::vector<T> values(count);
    fetch(memory, count * sizeof(T), values.data());
    return values;
  }

  template <typename Operands>
  void launch(const Operands& operands, int grid_x, int grid_y = 1) {
    driver_->launch({gpu::kKernelOf<Operands>, grid_x, grid_y, &operands}, stream_);
  }
  // The least time of so many runs of what `enqueue` enqueues.
  double seconds_of(int runs, const std::function<void()>& enqueue);

 private:
  void* make_bytes(size_t bytes);
  void send(const void* host, size_t bytes, void* to);
  void fetch(const void* from, size_t bytes, void* host);

  std::shared_ptr<GpuDriver> driver_;
  GpuStream stream_;
  std::vector<void*> memory_;
};

}  // namespace potluck
