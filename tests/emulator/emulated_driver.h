// EmulatedDriver: a card that is not there. Its memory is the host's, its kernels run on the
// emulator, and nothing that is enqueued runs before somebody waits for it, as late as a real card
// may be.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "backends/gpu/gpu_driver.h"
#include "tests/emulator/emulator.h"

namespace potluck {

class EmulatedDriver final : public GpuDriver {
 public:
  // Drivers of one card share these with the test that made them.
  struct Books {
    std::string address = own_address();
    uint64_t bytes_total = uint64_t{1} << 30;
    uint64_t bytes_used = 0;
    size_t blocks = 0;    // of memory, on the card and pinned
    size_t handles = 0;   // streams, events and graphs
    size_t launches = 0;  // one by one
    size_t graph_launches = 0;
  };

  // The card of this process.
  static std::string own_address();

  // Nothing that is enqueued on the stream with this handle from now on runs before is_open()
  // holds.
  static void close_gate(void* stream, std::function<bool()> is_open);

  EmulatedDriver(emulator::Vendor vendor, std::shared_ptr<Books> books);
  ~EmulatedDriver() override;

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
  using Work = std::function<void()>;
  struct Stream;
  struct Event;

  void enqueue(GpuStream stream, Work work);
  bool run(Stream& stream);
  void finish(Stream& stream);

  emulator::Vendor vendor_;
  std::shared_ptr<Books> books_;
  std::map<void*, size_t> memory_;  // the bytes of each block on the card
};

}  // namespace potluck

// For libraries that enqueue work of their own, as the stand-in of NCCL does.
extern "C" {
// Nothing that is enqueued on `stream` from now on runs before is_open(what) says 1.
void potluck_emulated_gate(void* stream, int (*is_open)(void* what), void* what);
// The address of the card whose stream this thread has made last; empty: of none.
const char* potluck_emulated_card();
}
