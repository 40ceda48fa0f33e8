// CardMemory: pieces of a card's memory for payloads. A piece that is given back is kept for the
// next payload, because a driver that frees memory waits for all that the card is doing.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "transport/message.h"
#include "transport/nccl/card_port.h"

namespace potluck {

class CardMemory final : public std::enable_shared_from_this<CardMemory> {
 public:
  // Only make_shared makes one.
  explicit CardMemory(std::shared_ptr<CardPort> port) : port_(std::move(port)) {}
  ~CardMemory();
  CardMemory(const CardMemory&) = delete;
  CardMemory& operator=(const CardMemory&) = delete;

  // A piece for so many bytes, which goes back when its last owner lets go of it, on any thread. It
  // keeps this alive. Throws Fault{memory}.
  std::shared_ptr<std::byte> take(size_t bytes);

 private:
  struct Piece {
    std::byte* data;
    size_t bytes;
  };

  const std::shared_ptr<CardPort> port_;
  std::mutex mutex_;
  std::vector<Piece> free_;  // under mutex_
};

// The first `bytes` of a piece as a payload.
Payload card_payload(std::shared_ptr<const std::byte> piece, size_t bytes);

}  // namespace potluck
