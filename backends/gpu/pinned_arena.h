// PinnedArena: host memory that the card reaches, for what is on its way between host and card.
#pragma once

#include <cstddef>
#include <vector>

#include "backends/gpu/gpu_driver.h"

namespace potluck {

class PinnedArena final {
 public:
  // The driver must outlive the arena.
  explicit PinnedArena(GpuDriver& driver) : driver_(driver) {}
  ~PinnedArena();
  PinnedArena(const PinnedArena&) = delete;
  PinnedArena& operator=(const PinnedArena&) = delete;

  // Memory that is the caller's until reset(). Throws Fault{memory}.
  std::byte* take(size_t bytes);
  // The bytes that were taken since reset().
  size_t used() const { return used_; }
  // All that was taken may be taken again.
  void reset();

 private:
  struct Block {
    std::byte* data;
    size_t bytes, used;
  };

  GpuDriver& driver_;
  std::vector<Block> blocks_;
  size_t used_ = 0;
};

}  // namespace potluck
