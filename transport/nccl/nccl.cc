// The owner's side: which message goes which way, and the order in which events are given out.
#include "transport/nccl/nccl.h"

#include <atomic>
#include <deque>
#include <map>
#include <optional>
#include <utility>

#include "transport/nccl/card_ends.h"
#include "transport/nccl/card_receiver.h"
#include "transport/nccl/card_sender.h"

namespace potluck {
namespace {

class NcclTransport final : public Transport {
 public:
  NcclTransport(std::unique_ptr<Transport> below, NcclOptions options)
      : below_(std::move(below)), ends_(*below_, std::move(options)) {}

  ~NcclTransport() override {
    for (auto& [peer, link] : links_) flush(link);
  }

  void set_identity(Identity identity) override { below_->set_identity(std::move(identity)); }
  std::string listen(const std::string& endpoint) override { return below_->listen(endpoint); }
  void connect(PeerId peer, const Address& address) override { below_->connect(peer, address); }

  void send(Message message) override;
  void drop(PeerId peer) override;
  std::optional<Event> wait(Time deadline) override;

  void wake() override {
    woken_ = true;
    below_->wake();
  }

 private:
  struct Link {
    std::string name;
    std::unique_ptr<CardSender> sender;      // of a link that was wished for
    std::unique_ptr<CardReceiver> receiver;  // of one that the peer has wished for
  };
  // An event whose turn has not come: it waits for its payload, or behind one that does.
  struct Held {
    Event event;
    std::optional<uint64_t> awaits;  // a number of its link's receiver
  };

  void offer(PeerId peer);
  void look();
  std::optional<Event> take();
  bool is_complete(Held& held);
  std::optional<Event> handle(Event event);
  void take_words(Event& event);
  void take_offer(Link& link, const Event& event);
  void answer(Link& link, Event& event);
  void hold(Event event, std::optional<uint64_t> awaits);
  void come_up(Event event);
  void go_down(Event event);
  void cut(PeerId peer, const std::string& reason);
  void forget(PeerId peer, bool all);
  void flush(Link& link);

  const std::unique_ptr<Transport> below_;
  CardEnds ends_;
  std::atomic<bool> woken_ = false;
  std::map<PeerId, Link> links_;  // to peers that are up
  std::deque<Held> held_;
};

// A wish for a link goes no further; the offer that follows from it does.
void NcclTransport::send(Message message) {
  const PeerId to = message.header.destination;
  if (message.header.kind == MessageKind::card_link) return offer(to);
  Payload& payload = message.payload;
  if (payload.memory == MemoryKind::host) return below_->send(std::move(message));
  check_limits(message);
  const auto link = links_.find(to);
  if (link != links_.end() && link->second.sender && link->second.sender->is_ready())
    return link->second.sender->send(std::move(message));
  payload = ends_.on_host(payload);
  below_->send(std::move(message));
}

void NcclTransport::offer(PeerId peer) {
  const auto link = links_.find(peer);
  if (link == links_.end() || link->second.sender) return;
  try {
    link->second.sender = std::make_unique<CardSender>(ends_, peer, link->second.name);
  } catch (const Fault& fault) {
    cut(peer, fault.what());
  }
}

void NcclTransport::drop(PeerId peer) {
  forget(peer, true);
  if (const auto link = links_.find(peer); link != links_.end()) {
    flush(link->second);
    links_.erase(link);
  }
  below_->drop(peer);
}

std::optional<Event> NcclTransport::wait(Time deadline) {
  for (;;) {
    look();
    if (std::optional<Event> event = take()) return event;
    std::optional<Event> event = below_->wait(deadline);
    if (!event) return std::nullopt;
    if (std::optional<Event> mine = handle(std::move(*event))) return mine;
  }
}

void NcclTransport::look() {
  for (auto each = links_.begin(); each != links_.end();) {
    auto& [peer, link] = *each++;
    try {
      if (link.sender) link.sender->look();
      if (link.receiver) link.receiver->look();
    } catch (const Fault& fault) {
      cut(peer, fault.what());
    }
  }
}

// The first event that no other of its peer stands in front of.
std::optional<Event> NcclTransport::take() {
  std::map<PeerId, bool> blocked;
  for (auto held = held_.begin(); held != held_.end(); ++held) {
    bool& is_blocked = blocked[held->event.peer];
    is_blocked = is_blocked || !is_complete(*held);
    if (is_blocked) continue;
    Event event = std::move(held->event);
    held_.erase(held);
    return event;
  }
  return std::nullopt;
}

bool NcclTransport::is_complete(Held& held) {
  if (!held.awaits) return true;
  const auto link = links_.find(held.event.peer);
  if (link == links_.end()) return false;
  std::optional<Payload> payload = link->second.receiver->take(*held.awaits);
  if (!payload) return false;
  held.event.message.payload = *std::move(payload);
  held.event.message.header.digest = 0;
  held.awaits.reset();
  return true;
}

// All that is not about NCCL is held and given out by take(), but for `woken`.
std::optional<Event> NcclTransport::handle(Event event) {
  switch (event.kind) {
    case Event::Kind::woken:  // by a communicator, if not by the owner
      return woken_.exchange(false) ? std::optional(std::move(event)) : std::nullopt;
    case Event::Kind::up:
      come_up(std::move(event));
      break;
    case Event::Kind::down:
      go_down(std::move(event));
      break;
    case Event::Kind::message:
      if (event.message.card_link)
        take_words(event);
      else
        hold(std::move(event), {});
  }
  return std::nullopt;
}

void NcclTransport::come_up(Event event) {
  const std::string& name = event.message.hello->name;
  links_[event.peer].name = name.empty() ? "peer " + std::to_string(event.peer) : name;
  hold(std::move(event), {});
}

void NcclTransport::go_down(Event event) {
  const auto link = links_.find(event.peer);
  if (link != links_.end() && link->second.receiver) link->second.receiver->look();
  forget(event.peer, false);
  if (link != links_.end()) links_.erase(link);
  hold(std::move(event), {});
}

void NcclTransport::hold(Event event, std::optional<uint64_t> awaits) {
  if (held_.size() >= kLinkQueueMax)
    return cut(event.peer, "too many messages wait behind a payload that NCCL does not bring");
  held_.push_back({std::move(event), awaits});
}

// A peer that says what it may not say loses its link.
void NcclTransport::take_words(Event& event) {
  const PeerId peer = event.peer;
  Link& link = links_[peer];
  try {
    const bool is_data = event.message.header.kind != MessageKind::card_link;
    if (is_data != (event.message.card_link->step == CardLink::Step::payload))
      throw Fault(FaultKind::refused, "words of NCCL in a message of another kind");
    if (event.message.card_link->step == CardLink::Step::offer)
      take_offer(link, event);
    else
      answer(link, event);
  } catch (const Fault& fault) {
    cut(peer, fault.what());
  }
}

void NcclTransport::take_offer(Link& link, const Event& event) {
  if (link.receiver) throw Fault(FaultKind::refused, "NCCL is offered twice");
  try {
    link.receiver = std::make_unique<CardReceiver>(ends_, event.peer, link.name, event.message);
  } catch (const Fault& fault) {
    CardLink words;
    words.step = CardLink::Step::refuse;
    words.reason = fault.what();
    ends_.tell(event.peer, std::move(words));
    throw;
  }
}

void NcclTransport::answer(Link& link, Event& event) {
  const CardLink words = *std::exchange(event.message.card_link, std::nullopt);
  using Step = CardLink::Step;
  const bool to_sender = words.step == Step::accept || words.step == Step::refuse ||
                         words.step == Step::taken || words.step == Step::stopped;
  if (to_sender ? !link.sender : !link.receiver)
    throw Fault(FaultKind::refused, "words of NCCL, which nobody has offered");
  switch (words.step) {
    case Step::accept:
      return link.sender->accepted();
    case Step::refuse:
      throw Fault(FaultKind::refused, words.reason);
    case Step::taken:
      return link.sender->taken(words.number);
    case Step::stopped:
      return link.sender->stopped(words.reason);
    case Step::payload:
      link.receiver->expect(words);
      return hold(std::move(event), words.number);
    case Step::withdrawn:
      return link.receiver->withdrawn(words.reason);
    case Step::again:
      return link.receiver->again(words.number, std::move(event.message.payload));
    case Step::offer:
      return;  // take_offer() has it
  }
}

// Ends a link and tells the owner why.
void NcclTransport::cut(PeerId peer, const std::string& reason) {
  drop(peer);
  Event down;
  down.kind = Event::Kind::down;
  down.peer = peer;
  down.reason = reason;
  held_.push_back({std::move(down), {}});
}

// Payloads that the peer has not taken yet reach it as the link's last messages.
void NcclTransport::flush(Link& link) {
  if (!link.sender) return;
  try {
    link.sender->flush();
  } catch (const Fault& fault) {
    ends_.log("payloads to " + link.name + " are lost: " + fault.what());
  }
}

// Throws away the held events of a peer: all of them, or from the first on that lacks its payload.
void NcclTransport::forget(PeerId peer, bool all) {
  bool gone = all;
  std::erase_if(held_, [&](Held& held) {
    if (held.event.peer != peer) return false;
    gone = gone || !is_complete(held);
    return gone;
  });
}

}  // namespace

std::unique_ptr<Transport> make_nccl_transport(std::unique_ptr<Transport> below,
                                               NcclOptions options) {
  return std::make_unique<NcclTransport>(std::move(below), std::move(options));
}

}  // namespace potluck
