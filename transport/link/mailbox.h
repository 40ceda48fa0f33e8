// A Mailbox holds the events for a transport's owner, and the owner's account of its links. A
// LinkEnd holds what both a link's I/O side and its owner touch.
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "transport/link/bell.h"
#include "transport/transport.h"

namespace potluck {

// One side of one link, from connect() or the other side's hello until it is down or dropped.
struct LinkEnd {
  explicit LinkEnd(PeerId of) : peer(of) {}
  const PeerId peer;
  // How many of our messages the peer's owner has taken, and ours of the peer's.
  std::atomic<uint64_t> taken_by_peer{0}, taken{0};
  std::atomic<uint64_t> waiting_bytes{0};  // of the peer's messages that are not taken yet
  uint64_t sent = 0;                       // the owner's thread alone, as the next three
  std::deque<uint64_t> sizes;              // of our messages that the peer has not taken, in bytes
  uint64_t sizes_sum = 0;
  bool dropped = false;
  bool used = false;  // the I/O side's: a link was made with it
};

class Mailbox final {
 public:
  Mailbox() = default;
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  // Any thread. `end` is the link that an event other than `woken` belongs to.
  void post(std::shared_ptr<LinkEnd> end, Event event);
  // Any thread, and signal handlers.
  void wake();
  // Any thread: of all messages that the owner has not taken.
  uint64_t waiting_bytes() const { return waiting_bytes_; }

  // The rest is for the owner's thread.
  struct Delivery {
    std::shared_ptr<LinkEnd> end;
    Event event;
  };
  // The next event that is not of a dropped link. `up` makes its link the peer's current one, and
  // `down` leaves the peer without; what a dropped link left here is thrown away.
  std::optional<Delivery> wait(Time deadline);

  // The link that messages for `peer` go to, making an end for one if there is none: connect().
  std::shared_ptr<LinkEnd> claim(PeerId peer);
  // Nothing if it is down. Throws Fault{lost} if there never was one.
  std::shared_ptr<LinkEnd> current(PeerId peer) const;
  std::shared_ptr<LinkEnd> drop(PeerId peer);

 private:
  std::optional<Delivery> take();

  Bell bell_;
  std::atomic<bool> woken_{false};
  std::atomic<uint64_t> waiting_bytes_{0};
  std::mutex mutex_;
  std::deque<Delivery> events_;  // under mutex_
  std::map<PeerId, std::shared_ptr<LinkEnd>> links_;
};

// Bytes of a message, as links count them.
uint64_t bytes_of(const Message& message);

// Counts a message on its way out, and throws Fault{world} if the link holds too much already.
void count_sent(LinkEnd& end, uint64_t bytes);

}  // namespace potluck
