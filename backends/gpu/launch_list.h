// LaunchList holds the kernels of a pass until they are needed, and runs them as one graph where
// the same pass has run before: only what lies in device memory differs from step to step.
#pragma once

#include <cstdint>
#include <list>
#include <vector>

#include "backends/gpu/gpu_driver.h"
#include "backends/gpu/ranges.h"

namespace potluck {

class LaunchList final {
 public:
  // Driver, stream and ranges must outlive the list. A pass is a range, and so is each launch that
  // is not within a graph; ranges may be null.
  LaunchList(GpuDriver& driver, GpuStream stream, bool use_graphs, const Ranges* ranges = nullptr)
      : driver_(driver), stream_(stream), use_graphs_(use_graphs), ranges_(ranges) {}
  ~LaunchList();
  LaunchList(const LaunchList&) = delete;
  LaunchList& operator=(const LaunchList&) = delete;

  // Adds kKernelOf<Operands> over grid_x · grid_y blocks.
  template <typename Operands>
  void add(Operands operands, int64_t grid_x, int64_t grid_y = 1) {
    clear_padding(operands);
    add(gpu::kKernelOf<Operands>, grid_x, grid_y, &operands);
  }
  // Whether an address within this memory is among the operands that were added since.
  bool touches(const void* memory, size_t bytes) const;
  // Enqueues all that was added: one by one the first time, and as a graph, where graphs are used,
  // from the second on.
  void run();

 private:
  // Lies in `pass_` in front of a launch's operands.
  struct Entry {
    gpu::Kernel kernel;
    int32_t grid_x, grid_y, operand_bytes;
  };
  struct Known {
    std::vector<std::byte> pass;
    GpuGraph graph;  // empty: it ran once
  };

  // The bytes between fields and behind the last become zeros, so that the same operands make the
  // same pass. A compiler that cannot do it leaves passes that are captured more than once.
  template <typename Operands>
  static void clear_padding([[maybe_unused]] Operands& operands) {
#if __has_builtin(__builtin_clear_padding)
    __builtin_clear_padding(&operands);
#endif
  }

  void add(gpu::Kernel kernel, int64_t grid_x, int64_t grid_y, const void* operands);
  void enqueue() const;
  Known* find();    // where the pass that runs is known
  void remember();  // the pass that runs

  GpuDriver& driver_;
  GpuStream stream_;
  bool use_graphs_;
  const Ranges* ranges_;
  std::vector<std::byte> pass_;     // entries and operands, one after another
  std::vector<std::byte> running_;  // the pass that run() enqueues
  std::list<Known> known_;          // the passes of late, the latest first
};

}  // namespace potluck
