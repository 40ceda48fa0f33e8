// Links between threads of one process: each transport is a node, found by its endpoint in a hub,
// and a link is a pair of ends under the hub's lock.
#include <array>
#include <map>
#include <mutex>
#include <utility>

#include "transport/link/mailbox.h"
#include "transport/transport.h"

namespace potluck {
namespace {

struct Node;

struct Side {
  std::weak_ptr<Node> node;
  std::shared_ptr<LinkEnd> end;
  std::shared_ptr<LinkEnd> also;  // of a connect() to a peer that was connected already
  bool is(const std::shared_ptr<LinkEnd>& wanted) const { return wanted == end || wanted == also; }
};

struct InprocLink {
  std::array<Side, 2> sides;
  Side& of(const Node* node) { return sides[sides[0].node.lock().get() == node ? 0 : 1]; }
  Side& beyond(const Node* node) { return sides[sides[0].node.lock().get() == node ? 1 : 0]; }
};

struct Node {
  Mailbox mailbox;
  Identity identity;
  std::map<PeerId, std::shared_ptr<InprocLink>> links;  // that are up
};

Event up_event(const Node& of, PeerId as) {
  Event event;
  event.kind = Event::Kind::up;
  event.peer = as;
  event.message.header.kind = MessageKind::hello;
  event.message.header.source = as;
  event.message.header.incarnation = of.identity.incarnation;
  event.message.header.epoch = of.identity.epoch;
  event.message.hello = of.identity.hello;
  return event;
}

Event down_event(PeerId peer, std::string reason) {
  Event event;
  event.kind = Event::Kind::down;
  event.peer = peer;
  event.reason = std::move(reason);
  return event;
}

// Takes a link out of both nodes and tells the far one.
void cut(Node& node, PeerId peer) {
  const std::shared_ptr<InprocLink> link = node.links.at(peer);
  node.links.erase(peer);
  const Side& far = link->beyond(&node);
  const std::shared_ptr<Node> other = far.node.lock();
  if (!other) return;
  other->links.erase(far.end->peer);
  other->mailbox.post(far.end, down_event(far.end->peer, "closed by peer"));
}

}  // namespace

class InprocHub {
 public:
  std::mutex mutex;  // over everything here and in its nodes, mailboxes apart
  std::map<std::string, std::weak_ptr<Node>> nodes;
};

namespace {

class InprocTransport final : public Transport {
 public:
  explicit InprocTransport(std::shared_ptr<InprocHub> hub) : hub_(std::move(hub)) {}

  ~InprocTransport() override {
    const std::lock_guard lock(hub_->mutex);
    while (!node_->links.empty()) cut(*node_, node_->links.begin()->first);
    std::erase_if(hub_->nodes, [&](const auto& each) { return each.second.lock() == node_; });
  }

  void set_identity(Identity identity) override {
    const std::lock_guard lock(hub_->mutex);
    node_->identity = std::move(identity);
  }

  std::string listen(const std::string& endpoint) override {
    if (endpoint.rfind("inproc://", 0) != 0)
      throw Fault(FaultKind::input, "endpoint " + endpoint + " is not inproc://NAME");
    const std::lock_guard lock(hub_->mutex);
    if (!hub_->nodes.emplace(endpoint, node_).second)
      throw Fault(FaultKind::world, "endpoint " + endpoint + " is in use; choose another");
    return endpoint;
  }

  void connect(PeerId peer, const std::string& endpoint) override {
    const std::shared_ptr<LinkEnd> end = node_->mailbox.claim(peer);
    const std::lock_guard lock(hub_->mutex);
    if (const auto existing = node_->links.find(peer); existing != node_->links.end())
      return repeat_up(*existing->second, end);
    const auto found = hub_->nodes.find(endpoint);
    const std::shared_ptr<Node> other = found == hub_->nodes.end() ? nullptr : found->second.lock();
    const PeerId self = node_->identity.self;
    const std::string me = "peer " + std::to_string(self);
    if (!other)
      node_->mailbox.post(end, down_event(peer, "nobody listens at " + endpoint));
    else if (other->identity.self == self)
      node_->mailbox.post(end, down_event(peer, "refused by peer: it is " + me + " itself"));
    else if (other->links.count(self))
      node_->mailbox.post(end, down_event(peer, "refused by peer: it has a link with " + me +
                                                    " already, at " + endpoint));
    else
      link(end, *other, found->second);
  }

  void send(Message message) override {
    const std::shared_ptr<LinkEnd> end = node_->mailbox.current(message.header.destination);
    if (!end) return;  // its down has been reported
    message.header.protocol = kProtocolVersion;
    message.header.digest = digest_bytes(message.payload.data, message.payload.bytes);
    const std::lock_guard lock(hub_->mutex);
    const auto found = node_->links.find(end->peer);
    if (found == node_->links.end() || !found->second->of(node_.get()).is(end)) return;
    const Side& far = found->second->beyond(node_.get());
    end->taken_by_peer = far.end->taken.load();
    count_sent(*end);
    Event event;
    event.peer = message.header.source = far.end->peer;
    event.message = std::move(message);
    if (const auto other = far.node.lock()) other->mailbox.post(far.end, std::move(event));
  }

  void drop(PeerId peer) override {
    const std::shared_ptr<LinkEnd> end = node_->mailbox.drop(peer);
    const std::lock_guard lock(hub_->mutex);
    const auto found = node_->links.find(peer);
    if (!end || found == node_->links.end() || !found->second->of(node_.get()).is(end)) return;
    const std::shared_ptr<LinkEnd> mine = found->second->of(node_.get()).end;
    if (mine != end) node_->mailbox.post(mine, down_event(peer, "dropped"));
    cut(*node_, peer);
  }

  std::optional<Event> wait(Time deadline) override {
    std::optional<Mailbox::Delivery> delivery = node_->mailbox.wait(deadline);
    if (!delivery) return std::nullopt;
    return std::move(delivery->event);
  }

  void wake() override { node_->mailbox.wake(); }

 private:
  void link(std::shared_ptr<LinkEnd> end, Node& other, std::weak_ptr<Node> other_node) {
    // Of a link whose down still waits in our mailbox: the new link counts afresh.
    if (end->used) end = std::make_shared<LinkEnd>(end->peer);
    const PeerId self = node_->identity.self;
    const auto far = std::make_shared<LinkEnd>(self);
    const auto made = std::make_shared<InprocLink>();
    made->sides = {Side{node_, end, nullptr}, Side{std::move(other_node), far, nullptr}};
    end->used = far->used = true;
    node_->links[end->peer] = made;
    other.links[self] = made;
    other.mailbox.post(far, up_event(*node_, self));
    node_->mailbox.post(end, up_event(other, end->peer));
  }

  // The peer called first: its link serves.
  void repeat_up(InprocLink& existing, const std::shared_ptr<LinkEnd>& end) {
    Side& mine = existing.of(node_.get());
    if (end != mine.end) mine.also = end;
    if (const auto other = existing.beyond(node_.get()).node.lock())
      node_->mailbox.post(mine.end, up_event(*other, end->peer));
  }

  const std::shared_ptr<InprocHub> hub_;
  const std::shared_ptr<Node> node_ = std::make_shared<Node>();
};

}  // namespace

std::shared_ptr<InprocHub> make_inproc_hub() {
  return std::make_shared<InprocHub>();
}

std::unique_ptr<Transport> make_inproc_transport(std::shared_ptr<InprocHub> hub) {
  return std::make_unique<InprocTransport>(std::move(hub));
}

}  // namespace potluck
