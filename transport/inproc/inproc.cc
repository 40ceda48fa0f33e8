// A hub knows the listeners of a process and the two sides of each connection. Whoever has
// something to say takes the hub's lock and runs the links at both ends until nobody has an answer
// left.
#include "transport/inproc/inproc.h"

#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <utility>

#include "transport/link/link_host.h"
#include "transport/link/link_transport.h"

namespace potluck {

class InprocHub {
 public:
  using Report = std::function<void(Links& links)>;

  std::mutex mutex;  // over everything here and the links of all hosts, mailboxes apart

  std::map<std::string, Links*> listeners;

  // Both sides of a new connection; the first is the dialer's.
  std::pair<ConnectionId, ConnectionId> join(Links& dialer, Links& listener) {
    const ConnectionId id = ++last_id_, other = ++last_id_;
    sides_[id] = {&dialer, other};
    sides_[other] = {&listener, id};
    return {id, other};
  }
  // The side of a connection that is not; what is reported to it arrives.
  ConnectionId lone_side(Links& dialer) {
    sides_[++last_id_] = {&dialer, 0};
    return last_id_;
  }
  ConnectionId beyond(ConnectionId id) const {
    const auto side = sides_.find(id);
    return side == sides_.end() ? 0 : side->second.other;
  }
  void remove(ConnectionId id) { sides_.erase(id); }
  void remove(const Links& links) {
    std::erase_if(sides_, [&](const auto& side) { return side.second.links == &links; });
    std::erase_if(listeners, [&](const auto& each) { return each.second == &links; });
  }

  // For the links at side `to`, if that is still there when its turn comes.
  void post(ConnectionId to, Report report) { reports_.push_back({to, std::move(report)}); }
  void deliver_all() {
    while (!reports_.empty()) {
      const auto [to, report] = std::move(reports_.front());
      reports_.pop_front();
      if (const auto side = sides_.find(to); side != sides_.end()) report(*side->second.links);
    }
  }

 private:
  struct Side {
    Links* links;
    ConnectionId other;
  };
  std::map<ConnectionId, Side> sides_;
  std::deque<std::pair<ConnectionId, Report>> reports_;
  ConnectionId last_id_ = 0;
};

namespace {

class InprocHost final : public LinkHost, private LinkActions {
 public:
  explicit InprocHost(std::shared_ptr<InprocHub> hub) : hub_(std::move(hub)) {}

  ~InprocHost() override {
    order([](Links& links) { links.stop(now()); });
    const std::lock_guard lock(hub_->mutex);
    hub_->remove(links_);
  }

  Time time() const override { return now(); }
  Mailbox& mailbox() override { return mailbox_; }

  void order(std::function<void(Links&)> work) override {
    const std::lock_guard lock(hub_->mutex);
    work(links_);
    hub_->deliver_all();
  }

  std::string listen(const std::string& endpoint) override {
    if (endpoint.rfind("inproc://", 0) != 0)
      throw Fault(FaultKind::input, "endpoint " + endpoint + " is not inproc://NAME");
    const std::lock_guard lock(hub_->mutex);
    if (!hub_->listeners.emplace(endpoint, &links_).second)
      throw Fault(FaultKind::world, "endpoint " + endpoint + " is in use", Fix{"choose another"});
    return endpoint;
  }

  Parcel pack(Message message) override { return {std::move(message), {}}; }

 private:
  ConnectionId dial(const Address& address) override {
    const std::string& endpoint = address.endpoint;
    const auto found = hub_->listeners.find(endpoint);
    if (found == hub_->listeners.end()) {
      const ConnectionId id = hub_->lone_side(links_);
      hub_->post(id, [id, endpoint](Links& links) {
        links.unreachable(id, "nobody listens at " + endpoint);
      });
      return id;
    }
    const auto [id, other] = hub_->join(links_, *found->second);
    hub_->post(other, [to = other](Links& links) {
      links.called(now(), to, {"this process", ""});
    });
    return id;
  }

  void send(ConnectionId connection, Parcel parcel) override {
    const ConnectionId to = hub_->beyond(connection);
    hub_->post(to, [to, message = std::move(parcel.message)](Links& links) mutable {
      links.arrived(now(), to, std::move(message));
    });
  }

  void hang_up(ConnectionId connection, double) override {
    const ConnectionId to = hub_->beyond(connection);
    hub_->remove(connection);
    hub_->post(to, [to, hub = hub_.get()](Links& links) {
      hub->remove(to);
      links.ended(now(), to);
    });
  }

  void guard(const Identity&) override {}  // what is sent is read
  void admit(ConnectionId) override {}
  bool is_receiving(ConnectionId) override { return true; }  // nobody here falls silent

  void report(std::shared_ptr<LinkEnd> end, Event event) override {
    mailbox_.post(std::move(end), std::move(event));
  }
  uint64_t waiting_bytes() override { return mailbox_.waiting_bytes(); }

  void log(const std::string&) override {}  // who is turned away is in this process, and is told

  const std::shared_ptr<InprocHub> hub_;
  Mailbox mailbox_;
  Links links_{*this};
};

}  // namespace

std::shared_ptr<InprocHub> make_inproc_hub() {
  return std::make_shared<InprocHub>();
}

std::unique_ptr<Transport> make_inproc_transport(std::shared_ptr<InprocHub> hub) {
  return make_link_transport(std::make_unique<InprocHost>(std::move(hub)));
}

}  // namespace potluck
