// A party of a simulated network: its links, and the owner's side of them.
#include <deque>
#include <utility>

#include "tests/sim/simulated_network.h"
#include "transport/link/link_host.h"
#include "transport/link/link_transport.h"

namespace potluck {
namespace {

constexpr double kAgainSeconds = 0.2;  // after which a message comes a second time

class SimulatedHost final : public LinkHost, private LinkActions {
 public:
  explicit SimulatedHost(SimulatedNetwork& network) : network_(network) { network_.add(links_); }
  ~SimulatedHost() override {
    links_.stop(network_.now());
    network_.remove(links_);
  }

  Time time() const override { return network_.now(); }
  Mailbox& mailbox() override { return mailbox_; }
  void order(std::function<void(Links&)> work) override { work(links_); }
  std::string listen(const std::string& endpoint) override {
    network_.listen(links_, endpoint);
    return endpoint;
  }
  Parcel pack(Message message) override { return {std::move(message), {}}; }

 private:
  ConnectionId dial(const Address& address) override {
    return network_.dial(links_, address.endpoint);
  }
  void send(ConnectionId connection, Parcel parcel) override {
    const ConnectionId to = network_.beyond(connection);
    network_.post(connection,
                  [this_network = &network_, to, message = std::move(parcel.message)](
                      Links& links) { links.arrived(this_network->now(), to, message); });
  }
  void hang_up(ConnectionId connection, double) override { network_.hang_up(connection); }
  void guard(const Identity&) override {}
  void admit(ConnectionId) override {}
  bool is_receiving(ConnectionId) override { return false; }
  void report(std::shared_ptr<LinkEnd> end, Event event) override {
    mailbox_.post(std::move(end), std::move(event));
  }
  uint64_t waiting_bytes() override { return mailbox_.waiting_bytes(); }
  void log(const std::string&) override {}

  SimulatedNetwork& network_;
  Mailbox mailbox_;
  Links links_{*this};
};

class SimulatedTransport final : public Transport {
 public:
  explicit SimulatedTransport(SimulatedNetwork& network)
      : network_(network), inner_(make_link_transport(std::make_unique<SimulatedHost>(network))) {}

  void set_identity(Identity identity) override { inner_->set_identity(std::move(identity)); }
  std::string listen(const std::string& endpoint) override { return inner_->listen(endpoint); }
  void connect(PeerId peer, const Address& address) override { inner_->connect(peer, address); }
  void send(Message message) override { inner_->send(std::move(message)); }
  void drop(PeerId peer) override {
    inner_->drop(peer);
    std::erase_if(again_, [&](const auto& each) { return each.second.peer == peer; });
  }
  void wake() override { inner_->wake(); }

  // The deadline is of the real clock; as much time as that leaves passes here.
  std::optional<Event> wait(Time deadline) override {
    const Time end = network_.now() + (deadline - potluck::now());
    for (;;) {
      if (!again_.empty() && again_.front().first <= network_.now()) {
        Event event = std::move(again_.front().second);
        again_.pop_front();
        return event;
      }
      if (std::optional<Event> event = inner_->wait(Time{})) return remember(*std::move(event));
      if (network_.now() >= end) return std::nullopt;
      network_.step();
    }
  }

 private:
  Event remember(Event event) {
    if (event.kind == Event::Kind::down)
      std::erase_if(again_, [&](const auto& each) { return each.second.peer == event.peer; });
    if (event.kind == Event::Kind::message && network_.draw(network_.habits().twice))
      again_.push_back({network_.now() + from_seconds(kAgainSeconds), event});
    return event;
  }

  SimulatedNetwork& network_;
  const std::unique_ptr<Transport> inner_;
  std::deque<std::pair<Time, Event>> again_;
};

}  // namespace

std::unique_ptr<Transport> SimulatedNetwork::transport() {
  return std::make_unique<SimulatedTransport>(*this);
}

}  // namespace potluck
