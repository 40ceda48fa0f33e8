// Links between threads of one process: a mailbox for each transport, found by its endpoint.
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <utility>

#include "topology/check.h"
#include "transport/transport.h"

namespace potluck {
namespace {

struct Mailbox {
  std::mutex mutex;
  std::condition_variable filled;
  std::deque<Event> events;
  Identity identity;
  bool listening = false, open = true;

  void post(Event event) {
    {
      const std::lock_guard lock(mutex);
      if (!open) return;
      events.push_back(std::move(event));
    }
    filled.notify_one();
  }
};

Event make_event(Event::Kind kind, PeerId peer, std::string reason = {}) {
  Event event;
  event.kind = kind;
  event.peer = peer;
  event.reason = std::move(reason);
  return event;
}

}  // namespace

class InprocHub {
 public:
  std::shared_ptr<Mailbox> find(const std::string& endpoint) {
    const std::lock_guard lock(mutex_);
    const auto found = boxes_.find(endpoint);
    return found == boxes_.end() ? nullptr : found->second.lock();
  }
  void add(const std::string& endpoint, const std::shared_ptr<Mailbox>& box) {
    const std::lock_guard lock(mutex_);
    if (boxes_.count(endpoint) && !boxes_[endpoint].expired())
      throw Fault(FaultKind::world, "endpoint " + endpoint + " is in use; choose another");
    boxes_[endpoint] = box;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::weak_ptr<Mailbox>> boxes_;
};

namespace {

// How the other side's mailbox knows us, so that it learns who sent and who is gone. A link that
// came up has an entry on both sides.
class InprocTransport final : public Transport {
 public:
  explicit InprocTransport(std::shared_ptr<InprocHub> hub) : hub_(std::move(hub)) {}

  ~InprocTransport() override {
    for (auto& [peer, link] : links_)
      if (const auto box = link.lock())
        box->post(make_event(Event::Kind::down, self_id(), "closed by peer"));
    const std::lock_guard lock(box_->mutex);
    box_->open = false;
  }

  void set_identity(Identity identity) override {
    const std::lock_guard lock(box_->mutex);
    box_->identity = std::move(identity);
  }

  std::string listen(const std::string& endpoint) override {
    if (endpoint.rfind("inproc://", 0) != 0)
      throw Fault(FaultKind::input, "endpoint " + endpoint + " is not inproc://NAME");
    hub_->add(endpoint, box_);
    const std::lock_guard lock(box_->mutex);
    box_->listening = true;
    return endpoint;
  }

  void connect(PeerId peer, const std::string& endpoint) override {
    const auto other = hub_->find(endpoint);
    if (!other)
      return box_->post(make_event(Event::Kind::down, peer, "nobody listens at " + endpoint));
    links_[peer] = other;
    Event theirs = hello_of(*other, peer), mine = hello_of(*box_, self_id());
    mine.message.payload.owner = box_;  // how the listener reaches us
    other->post(std::move(mine));
    box_->post(std::move(theirs));
  }

  void send(Message message) override {
    const auto link = links_.find(message.header.destination);
    if (link == links_.end()) return;  // its down is on the way, or was refused
    const auto box = link->second.lock();
    if (!box) return;
    message.header.source = self_id();
    message.header.digest = digest_bytes(message.payload.data, message.payload.bytes);
    Event event = make_event(Event::Kind::message, message.header.source);
    event.message = std::move(message);
    {
      const std::lock_guard lock(box->mutex);
      if (box->events.size() >= kLinkQueueMax * 16)
        throw Fault(FaultKind::world, "an in-process link holds " +
                                          std::to_string(box->events.size()) +
                                          " messages; its receiver has stopped");
    }
    box->post(std::move(event));
  }

  void drop(PeerId peer) override {
    const auto link = links_.find(peer);
    if (link == links_.end()) return;
    if (const auto box = link->second.lock())
      box->post(make_event(Event::Kind::down, self_id(), "closed by peer"));
    links_.erase(link);
  }

  std::optional<Event> wait(Time deadline) override {
    std::unique_lock lock(box_->mutex);
    box_->filled.wait_until(lock, deadline, [&] { return !box_->events.empty(); });
    if (box_->events.empty()) return std::nullopt;
    Event event = std::move(box_->events.front());
    box_->events.pop_front();
    lock.unlock();
    if (event.kind == Event::Kind::up && event.message.payload.owner) accept(event);
    if (event.kind == Event::Kind::down) links_.erase(event.peer);
    return event;
  }

  void wake() override { box_->post(make_event(Event::Kind::woken, self_id())); }

 private:
  PeerId self_id() const {
    const std::lock_guard lock(box_->mutex);
    return box_->identity.self;
  }

  static Event hello_of(Mailbox& box, PeerId as) {
    const std::lock_guard lock(box.mutex);
    Event event = make_event(Event::Kind::up, as);
    event.message.header.kind = MessageKind::hello;
    event.message.header.source = as;
    event.message.header.incarnation = box.identity.incarnation;
    event.message.header.epoch = box.identity.epoch;
    event.message.hello = box.identity.hello;
    return event;
  }

  void accept(Event& event) {
    const auto box = std::static_pointer_cast<const Mailbox>(event.message.payload.owner);
    links_[event.peer] = std::const_pointer_cast<Mailbox>(box);
    event.message.payload = {};
  }

  std::shared_ptr<InprocHub> hub_;
  std::shared_ptr<Mailbox> box_ = std::make_shared<Mailbox>();
  std::map<PeerId, std::weak_ptr<Mailbox>> links_;
};

}  // namespace

std::shared_ptr<InprocHub> make_inproc_hub() {
  return std::make_shared<InprocHub>();
}

std::unique_ptr<Transport> make_inproc_transport(std::shared_ptr<InprocHub> hub) {
  return std::make_unique<InprocTransport>(std::move(hub));
}

}  // namespace potluck
