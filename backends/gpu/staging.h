// Staging: carries long uploads through two pieces of pinned memory in turn, so that the host fills
// one while the card reads the other.
#pragma once

#include <cstddef>

#include "backends/gpu/gpu_driver.h"

namespace potluck {

class Staging final {
 public:
  // Driver and stream must outlive it.
  Staging(GpuDriver& driver, GpuStream stream) : driver_(driver), stream_(stream) {}
  ~Staging();
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  // Enqueues the copy of these bytes and takes them before it returns. Waits where the card is
  // slower than the host. Throws Fault{memory | world}.
  void send(const std::byte* host, size_t bytes, std::byte* to);

 private:
  struct Piece {
    void* memory = nullptr;
    GpuEvent read;        // the card has read it
    bool on_way = false;  // `read` was recorded
  };
  // The next piece, which the card does not read any more.
  Piece& take();

  GpuDriver& driver_;
  GpuStream stream_;
  Piece pieces_[2];
  int turn_ = 0;
};

}  // namespace potluck
