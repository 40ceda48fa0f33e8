// Takes the smallest free piece that is large enough, or a new one.
#include "transport/nccl/card_memory.h"

#include <algorithm>
#include <utility>

namespace potluck {

CardMemory::~CardMemory() {
  for (const Piece& piece : free_) port_->free(piece.data);
}

std::shared_ptr<std::byte> CardMemory::take(size_t bytes) {
  const std::lock_guard lock(mutex_);
  Piece piece{nullptr, bytes};
  const auto least =
      std::min_element(free_.begin(), free_.end(), [&](const Piece& a, const Piece& b) {
        return std::pair(a.bytes < bytes, a.bytes) < std::pair(b.bytes < bytes, b.bytes);
      });
  if (least != free_.end() && least->bytes >= bytes) {
    piece = *least;
    free_.erase(least);
  } else {
    piece.data = static_cast<std::byte*>(port_->allocate(bytes));
  }
  return {piece.data, [self = shared_from_this(), piece](std::byte*) {
            const std::lock_guard again(self->mutex_);
            self->free_.push_back(piece);
          }};
}

Payload card_payload(std::shared_ptr<const std::byte> piece, size_t bytes) {
  return {piece.get(), bytes, MemoryKind::card, piece};
}

}  // namespace potluck
