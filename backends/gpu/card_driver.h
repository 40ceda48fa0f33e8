// CardDriver: one card of one vendor, through the calls of its driver's library.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "backends/gpu/gpu_driver.h"
#include "backends/gpu/vendor.h"

namespace potluck {

// A card that has not ended what it was given after so long hangs. The longest that it is given is
// a chunk of 2,048 tokens: 14 TFLOP and, in f32 at 0.1 TFLOP/s on a small card, 140 s.
inline constexpr std::chrono::seconds kCardPatience{300};

// One thread at a time uses it, not always the same one.
//
// A call to a card that hangs may never come back, not even one that frees. So when a wait is given
// up, no driver of this process calls that card again: what it holds stays taken until the process
// ends, and all but the freeing calls throw Fault{world}.
class CardDriver final : public GpuDriver {
 public:
  // Throws Fault if the card cannot be used.
  CardDriver(std::shared_ptr<Vendor> vendor, int card,
             std::chrono::nanoseconds patience = kCardPatience);
  ~CardDriver() override;
  CardDriver(const CardDriver&) = delete;
  CardDriver& operator=(const CardDriver&) = delete;

  GpuFacts facts() override;

  void* allocate(size_t bytes) override;
  void free(void* memory) noexcept override;
  void* allocate_host(size_t bytes) override;
  void free_host(void* memory) noexcept override;

  GpuStream make_stream() override;
  void free_stream(GpuStream stream) noexcept override;

  void copy_in(const void* host, void* to, size_t bytes, GpuStream stream) override;
  void copy_out(const void* from, void* host, size_t bytes, GpuStream stream) override;
  void copy(const void* from, void* to, size_t bytes, GpuStream stream) override;
  void fill(uint32_t word, void* to, size_t count, GpuStream stream) override;

  GpuEvent make_event() override;
  void free_event(GpuEvent event) noexcept override;
  void record(GpuEvent event, GpuStream stream) override;
  void wait(GpuStream stream) override;
  void wait(GpuEvent event) override;
  bool is_idle(GpuStream stream) override;
  void wait_for(GpuEvent event, GpuStream stream) override;
  float milliseconds(GpuEvent from, GpuEvent to) override;

  void load(std::span<const std::byte> code) override;
  void launch(const GpuLaunch& launch, GpuStream stream) override;

  void begin_capture(GpuStream stream) override;
  GpuGraph end_capture(GpuStream stream) override;
  void launch(GpuGraph graph, GpuStream stream) override;
  void free_graph(GpuGraph graph) noexcept override;

 private:
  const DriverCalls& calls() const { return vendor_->calls(); }
  template <typename... Parameters, typename... Given>
  void run(const DriverCall<Parameters...>& what, Given... given);
  template <typename Pointer>
  void run_free(const DriverCall<Pointer>& what, Pointer handle) noexcept;
  int attribute(int which);
  void wait(const DriverCall<void*>& ask, void* handle);
  bool has_ended(const DriverCall<void*>& ask, void* handle) const;
  void check_hangs() const;
  void abandon_capture() noexcept;

  std::shared_ptr<Vendor> vendor_;
  int card_;
  std::chrono::nanoseconds patience_;
  std::shared_ptr<std::atomic<bool>> hangs_;  // of all drivers of this card
  void* module_ = nullptr;
  std::vector<void*> kernels_;  // of the module, by gpu::Kernel
  void* capturing_ = nullptr;   // the stream whose work is kept
};

}  // namespace potluck
