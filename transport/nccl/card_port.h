// CardPort: the seam through which transport/nccl reaches one card. The floor above fills it
// (shard/card_port.cc), because a transport knows no backend.
//
// Memory. What a port has allocated is good until it is freed, whatever becomes of the Backend that
// computes on the same card; both reach all memory of the card. Whoever keeps such memory keeps its
// port: CardMemory sees to that.
//
// Streams are for NCCL to enqueue on, beside whatever a Backend does. A stream is freed when
// nothing that was enqueued on it runs any more.
//
// Threads. Any thread may call. A call makes the card the current one of its thread, and NCCL goes
// by that.
//
// Failures. Methods throw Fault{memory} or Fault{world}, but for those that free.
#pragma once

#include <cstddef>
#include <string>

namespace potluck {

class CardPort {
 public:
  virtual ~CardPort() = default;
  virtual std::string vendor() const = 0;  // "cuda" or "hip": whose NCCL links it
  // Which card of which machine it is; all ports of a card say the same.
  virtual std::string address() const = 0;

  virtual void* allocate(size_t bytes) = 0;
  virtual void free(void* memory) noexcept = 0;
  // Returns when the bytes are there.
  virtual void copy_out(const void* from, void* host, size_t bytes) = 0;

  virtual void* make_stream() = 0;  // the vendor's handle
  virtual void free_stream(void* stream) noexcept = 0;
  // Whether all that was enqueued has run.
  virtual bool is_idle(void* stream) = 0;
};

}  // namespace potluck
