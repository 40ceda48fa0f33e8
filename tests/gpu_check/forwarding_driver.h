// A GpuDriver that hands every call to another, which several may share: the ground of those that
// change one thing, and what a backend may own while others use the same card.
#pragma once

#include <memory>
#include <utility>

#include "backends/gpu/gpu_driver.h"

namespace potluck {

class ForwardingDriver : public GpuDriver {
 public:
  explicit ForwardingDriver(std::shared_ptr<GpuDriver> below) : below_(std::move(below)) {}

  GpuFacts facts() override { return below_->facts(); }
  void* allocate(size_t bytes) override { return below_->allocate(bytes); }
  void free(void* memory) noexcept override { below_->free(memory); }
  void* allocate_host(size_t bytes) override { return below_->allocate_host(bytes); }
  void free_host(void* memory) noexcept override { below_->free_host(memory); }
  GpuStream make_stream() override { return below_->make_stream(); }
  void free_stream(GpuStream stream) noexcept override { below_->free_stream(stream); }
  void copy_in(const void* host, void* to, size_t bytes, GpuStream stream) override {
    below_->copy_in(host, to, bytes, stream);
  }
  void copy_out(const void* from, void* host, size_t bytes, GpuStream stream) override {
    below_->copy_out(from, host, bytes, stream);
  }
  void copy(const void* from, void* to, size_t bytes, GpuStream stream) override {
    below_->copy(from, to, bytes, stream);
  }
  void fill(uint32_t word, void* to, size_t count, GpuStream stream) override {
    below_->fill(word, to, count, stream);
  }
  GpuEvent make_event() override { return below_->make_event(); }
  void free_event(GpuEvent event) noexcept override { below_->free_event(event); }
  void record(GpuEvent event, GpuStream stream) override { below_->record(event, stream); }
  void wait(GpuStream stream) override { below_->wait(stream); }
  void wait(GpuEvent event) override { below_->wait(event); }
  bool is_idle(GpuStream stream) override { return below_->is_idle(stream); }
  void wait_for(GpuEvent event, GpuStream stream) override { below_->wait_for(event, stream); }
  float milliseconds(GpuEvent from, GpuEvent to) override { return below_->milliseconds(from, to); }
  void load(std::span<const std::byte> code) override { below_->load(code); }
  void launch(const GpuLaunch& launch, GpuStream stream) override {
    below_->launch(launch, stream);
  }
  void begin_capture(GpuStream stream) override { below_->begin_capture(stream); }
  GpuGraph end_capture(GpuStream stream) override { return below_->end_capture(stream); }
  void launch(GpuGraph graph, GpuStream stream) override { below_->launch(graph, stream); }
  void free_graph(GpuGraph graph) noexcept override { below_->free_graph(graph); }

 private:
  std::shared_ptr<GpuDriver> below_;
};

}  // namespace potluck
