// GpuDriver: the seam through which a GpuBackend reaches one card. CUDA's driver, HIP's and the
// emulator of the tests are behind it. Nothing here knows an operation of the model: a driver has
// memory, streams, events, code, launches and graphs.
//
// Order. Whatever is enqueued on a stream runs in the order of the calls; streams meet at events.
// A host buffer of a copy comes from allocate_host() and is the driver's until the stream has been
// waited for.
//
// Threads. One at a time uses a driver. A call makes the card the current one of its thread, for
// libraries that go by that.
//
// Failures. Whatever finds no memory left throws Fault{memory}, all else Fault{world}, with the
// driver's name for the error; both name the card. A call that frees never throws. A call that
// fails while a stream is captured ends the capture. A wait has an end: a card that takes longer
// than any work of ours is given up, with all that it holds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "backends/gpu/kernels.h"

namespace potluck {

struct GpuFacts {
  std::string name;          // "NVIDIA GeForce RTX 3060"
  std::string architecture;  // whose code it runs: "sm_86", "gfx1030"
  std::string driver;        // "CUDA 12.2", "HIP 6.1"
  std::string address;       // of the card in this machine: "0000:01:00.0"
  int units = 1;             // multiprocessors, or compute units
  int lanes = 32;            // of a wavefront
  uint64_t bytes_total = 0;
  uint64_t bytes_free = 0;    // as of now
  uint64_t cache_bytes = 0;   // L2
  size_t shared_bytes = 0;    // that a block may ask for
  bool has_watchdog = false;  // it drives a display, so a long kernel would be killed
};

// Handles of a driver; empty ones are never passed in.
struct GpuStream {
  void* handle = nullptr;
};
struct GpuEvent {
  void* handle = nullptr;
};
struct GpuGraph {
  void* handle = nullptr;
};

// A kernel and its operands (backends/gpu/kernels.h), over grid_x · grid_y blocks.
struct GpuLaunch {
  gpu::Kernel kernel;
  int grid_x = 1, grid_y = 1;
  const void* operands = nullptr;  // taken when the call returns
};

class GpuDriver {
 public:
  virtual ~GpuDriver() = default;
  virtual GpuFacts facts() = 0;

  // Device memory, aligned to 256 bytes. Throws Fault{memory}.
  virtual void* allocate(size_t bytes) = 0;
  virtual void free(void* memory) noexcept = 0;
  // Host memory that the card reaches. Throws Fault{memory}.
  virtual void* allocate_host(size_t bytes) = 0;
  virtual void free_host(void* memory) noexcept = 0;

  virtual GpuStream make_stream() = 0;
  virtual void free_stream(GpuStream stream) noexcept = 0;

  virtual void copy_in(const void* host, void* to, size_t bytes, GpuStream stream) = 0;
  virtual void copy_out(const void* from, void* host, size_t bytes, GpuStream stream) = 0;
  virtual void copy(const void* from, void* to, size_t bytes, GpuStream stream) = 0;
  // Sets `count` words.
  virtual void fill(uint32_t word, void* to, size_t count, GpuStream stream) = 0;

  virtual GpuEvent make_event() = 0;
  virtual void free_event(GpuEvent event) noexcept = 0;
  virtual void record(GpuEvent event, GpuStream stream) = 0;
  // Returns when what was enqueued on the stream, or before the event was recorded, has run.
  virtual void wait(GpuStream stream) = 0;
  virtual void wait(GpuEvent event) = 0;
  // Whether all that was enqueued on the stream has run.
  virtual bool is_idle(GpuStream stream) = 0;
  // All that is enqueued on `stream` from now on runs after `event`.
  virtual void wait_for(GpuEvent event, GpuStream stream) = 0;
  // Between two events that have come to pass.
  virtual float milliseconds(GpuEvent from, GpuEvent to) = 0;

  // Takes the code object of this card's architecture; once, before the first launch.
  virtual void load(std::span<const std::byte> code) = 0;
  virtual void launch(const GpuLaunch& launch, GpuStream stream) = 0;

  // Between these two, what is enqueued on `stream` is kept instead of run; a graph runs it as
  // often as it is launched.
  virtual void begin_capture(GpuStream stream) = 0;
  virtual GpuGraph end_capture(GpuStream stream) = 0;
  virtual void launch(GpuGraph graph, GpuStream stream) = 0;
  virtual void free_graph(GpuGraph graph) noexcept = 0;
};

}  // namespace potluck
