// An event stands behind the copy of each piece; who wants the piece again waits for it.
#include "backends/gpu/staging.h"

#include <algorithm>
#include <cstring>

namespace potluck {
namespace {

// A copy of 8 MB takes 0.3 ms at 25 GB/s, of which enqueueing it is a hundredth.
constexpr size_t kPieceBytes = 8 << 20;

}  // namespace

Staging::~Staging() {
  for (const Piece& piece : pieces_) {
    if (piece.read.handle) driver_.free_event(piece.read);
    if (piece.memory) driver_.free_host(piece.memory);
  }
}

Staging::Piece& Staging::take() {
  Piece& piece = pieces_[turn_];
  turn_ = 1 - turn_;
  if (!piece.memory) piece.memory = driver_.allocate_host(kPieceBytes);
  if (!piece.read.handle) piece.read = driver_.make_event();
  if (piece.on_way) driver_.wait(piece.read);
  piece.on_way = false;
  return piece;
}

void Staging::send(const std::byte* host, size_t bytes, std::byte* to) {
  for (size_t done = 0; done < bytes; done += kPieceBytes) {
    const size_t some = std::min(kPieceBytes, bytes - done);
    Piece& piece = take();
    std::memcpy(piece.memory, host + done, some);
    driver_.copy_in(piece.memory, to + done, some, stream_);
    driver_.record(piece.read, stream_);
    piece.on_way = true;
  }
}

}  // namespace potluck
