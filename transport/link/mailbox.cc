// The owner looks, and sleeps until it finds something; whoever posts rings the bell.
#include "transport/link/mailbox.h"

#include <string>

#include "topology/base/fault.h"
#include "topology/base/text.h"

namespace potluck {

void Mailbox::post(std::shared_ptr<LinkEnd> end, Event event) {
  const uint64_t bytes = bytes_of(event.message);
  if (end) end->waiting_bytes += bytes;
  waiting_bytes_ += bytes;
  {
    const std::lock_guard lock(mutex_);
    events_.push_back({std::move(end), std::move(event)});
  }
  bell_.ring();
}

void Mailbox::wake() {
  woken_.store(true);
  bell_.ring();
}

std::optional<Mailbox::Delivery> Mailbox::wait(Time deadline) {
  for (;;) {
    if (std::optional<Delivery> delivery = take()) return delivery;
    if (now() >= deadline) return std::nullopt;
    bell_.sleep(deadline);
    bell_.quiet();  // before the next look: what is posted after it rings again
  }
}

std::optional<Mailbox::Delivery> Mailbox::take() {
  if (woken_.exchange(false)) {
    Delivery woken;
    woken.event.kind = Event::Kind::woken;
    return woken;
  }
  for (;;) {
    Delivery next;
    {
      const std::lock_guard lock(mutex_);
      if (events_.empty()) return std::nullopt;
      next = std::move(events_.front());
      events_.pop_front();
    }
    const uint64_t bytes = bytes_of(next.event.message);
    next.end->waiting_bytes -= bytes;
    waiting_bytes_ -= bytes;
    if (next.end->dropped) continue;
    std::shared_ptr<LinkEnd>& link = links_[next.end->peer];
    switch (next.event.kind) {
      case Event::Kind::up:
        // Both sides dialed, and the peer's call stands: what we sent on ours counts on this one.
        if (link && link != next.end) {
          next.end->sent += link->sent;
          next.end->sizes.insert(next.end->sizes.end(), link->sizes.begin(), link->sizes.end());
          next.end->sizes_sum += link->sizes_sum;
        }
        link = next.end;
        break;
      case Event::Kind::down:
        if (link == next.end) link = nullptr;
        break;
      default:
        ++next.end->taken;
    }
    return next;
  }
}

std::shared_ptr<LinkEnd> Mailbox::claim(PeerId peer) {
  std::shared_ptr<LinkEnd>& link = links_[peer];
  if (!link) link = std::make_shared<LinkEnd>(peer);
  return link;
}

std::shared_ptr<LinkEnd> Mailbox::current(PeerId peer) const {
  const auto found = links_.find(peer);
  if (found == links_.end())
    throw Fault(FaultKind::lost, "there is no link with peer " + std::to_string(peer));
  return found->second;
}

std::shared_ptr<LinkEnd> Mailbox::drop(PeerId peer) {
  const auto found = links_.find(peer);
  if (found == links_.end() || !found->second) return nullptr;
  found->second->dropped = true;
  return std::exchange(found->second, nullptr);
}

uint64_t bytes_of(const Message& message) {
  const bool is_message = message.payload.memory == MemoryKind::host;
  return message.wire_header_bytes + (is_message ? message.payload.bytes : 0);
}

void count_sent(LinkEnd& end, uint64_t bytes) {
  const uint64_t waiting = end.sent - end.taken_by_peer;
  for (; end.sizes.size() > waiting; end.sizes.pop_front()) end.sizes_sum -= end.sizes.front();
  const std::string who = "peer " + std::to_string(end.peer) + " has ";
  if (waiting >= kLinkQueueMax)
    throw Fault(FaultKind::world, who + std::to_string(kLinkQueueMax) +
                                      " messages waiting that it does not take; it has stopped");
  if (end.sizes_sum + bytes > kLinkBytesMax)
    throw Fault(FaultKind::world,
                who + bytes_text(end.sizes_sum) + " waiting that it does not take; it has stopped");
  ++end.sent;
  end.sizes.push_back(bytes);
  end.sizes_sum += bytes;
}

}  // namespace potluck
