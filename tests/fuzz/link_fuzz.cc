// One party's links under orders and reports in any order. What its owner hears must make sense:
// messages of links that are up alone, nothing of those that it dropped; and no connection is used
// after it was hung up.
#include <set>
#include <vector>

#include "tests/fuzz/sessions/draws.h"
#include "topology/base/check.h"
#include "transport/link/links.h"

namespace potluck {
namespace {

constexpr PeerId kPeers[] = {0, 1, 2, 3, 200, kUnassignedPeer};
constexpr double kTimes[] = {0.05, 0.1, 0.3, 0.6, 2.1, 11};
constexpr uint64_t kLarge = 200u << 20;

class LinkFuzz final : private LinkActions {
 public:
  explicit LinkFuzz(Draws& draws) : draws_(draws) { links_.set_identity(now_, identity()); }

  void run() {
    while (!draws_.empty()) {
      draws_.once_in(2) ? order() : report();
      if (draws_.once_in(2)) listen();
    }
    links_.stop(now_);
    for (int i = 0; i < 20; ++i) pass(0.1);
    CHECK(links_.stopped(now_));
  }

 private:
  Identity identity() {
    Identity me;
    me.self = draws_.one_of(kPeers);
    me.incarnation = draws_.below(2);
    me.epoch = static_cast<uint32_t>(draws_.below(2));
    if (draws_.once_in(2)) me.secret.assign(kRingSecretBytes, 's');
    me.keys[kCoordinatorPeer] = {"a key"};
    if (draws_.once_in(2)) return me;
    me.callers.emplace();
    for (const PeerId peer : kPeers)
      if (draws_.once_in(2)) me.callers->push_back(peer);
    return me;
  }

  // The owner orders.
  void order() {
    const PeerId peer = draws_.one_of(kPeers);
    switch (draws_.below(6)) {
      case 0:
        links_.set_identity(now_, identity());
        break;
      case 1:
        links_.connect(now_, mailbox_.claim(peer), "somewhere");
        break;
      case 2:
        if (const auto end = mailbox_.drop(peer)) links_.drop(now_, end);
        up_.erase(peer);
        break;
      case 3:
        send(peer);
        break;
      case 4:
        pass(draws_.one_of(kTimes));
        break;
      default:
        if (last_end_) links_.tell_taken(now_, last_end_);
    }
  }

  void send(PeerId peer) {
    try {
      if (const auto end = mailbox_.current(peer)) {
        count_sent(*end, draws_.once_in(4) ? kLarge : 100);
        links_.send(end, {});
      }
    } catch (const Fault& fault) {
      CHECK(fault.kind() == FaultKind::lost || fault.kind() == FaultKind::world, fault.what());
    }
  }

  void pass(double seconds) {
    now_ += from_seconds(seconds);
    links_.tick(now_);
  }

  // The owner looks into its mailbox.
  void listen() {
    while (const std::optional<Mailbox::Delivery> delivery = mailbox_.wait(Time{})) {
      const Event& event = delivery->event;
      last_end_ = delivery->end;
      if (event.kind == Event::Kind::up) up_.insert(event.peer);
      if (event.kind == Event::Kind::down) up_.erase(event.peer);
      if (event.kind == Event::Kind::message)
        CHECK(up_.count(event.peer) && event.message.header.source == event.peer, event.peer);
    }
    CHECK(mailbox_.waiting_bytes() == 0);
  }

  // The pipe reports, of connections that have not ended.
  void report() {
    if (open_.empty() || draws_.once_in(4)) return called();
    auto at = open_.begin();
    std::advance(at, draws_.below(open_.size()));
    const ConnectionId id = *at;
    switch (draws_.below(9)) {
      case 8:
        links_.failing(id, "not there");
        break;
      case 0:
        links_.connected(id);
        break;
      case 1:
        links_.hung_up(id);
        break;
      case 2:
        open_.erase(at);
        links_.ended(now_, id);
        break;
      case 3:
        draws_.once_in(2) ? links_.broken(id, "broken") : links_.unreachable(id, "nobody there");
        break;
      default:
        links_.arrived(now_, id, message());
    }
  }

  void called() {
    open_.insert(++last_id_);
    links_.called(now_, last_id_, {"somewhere", draws_.once_in(4) ? "a key" : ""});
    if (draws_.once_in(2)) links_.arrived(now_, last_id_, message());
  }

  // As decode_header() lets them through.
  Message message() {
    using Kind = MessageKind;
    Message m;
    m.header.kind = draws_.one_of(
        {Kind::hello, Kind::hello, Kind::denoise, Kind::heartbeat, Kind::goodbye, Kind::proof});
    m.header.source = draws_.one_of(kPeers);
    m.header.incarnation = draws_.below(2);
    m.header.epoch = static_cast<uint32_t>(draws_.below(2));
    if (m.header.kind == Kind::hello) m.hello.emplace();
    if (m.header.kind == Kind::hello && draws_.once_in(2)) m.hello->nonce.assign(kNonceBytes, 'n');
    if (m.header.kind == Kind::proof) m.proof = Proof{std::string(kProofBytes, 'p')};
    if (m.header.kind == Kind::heartbeat) m.heartbeat = Heartbeat{draws_.below(4)};
    if (m.header.kind == Kind::goodbye) m.fault.emplace();
    if (draws_.once_in(4)) m.payload.bytes = kLarge;
    return m;
  }

  // The links ask.
  ConnectionId dial(const Address&) override {
    open_.insert(++last_id_);
    return last_id_;
  }
  void send(ConnectionId connection, Parcel) override { CHECK(!hung_up_.count(connection)); }
  void hang_up(ConnectionId connection, double) override {
    CHECK(hung_up_.insert(connection).second, connection);
  }
  void guard(const Identity&) override {}
  void admit(ConnectionId) override {}
  bool is_receiving(ConnectionId) override { return draws_.once_in(8); }
  void report(std::shared_ptr<LinkEnd> end, Event event) override {
    CHECK(event.peer == end->peer, event.peer, end->peer);
    mailbox_.post(std::move(end), std::move(event));
    CHECK(mailbox_.waiting_bytes() <= kAllLinksBytesMax, mailbox_.waiting_bytes());
  }
  uint64_t waiting_bytes() override { return mailbox_.waiting_bytes(); }
  void log(const std::string&) override {}

  Draws& draws_;
  Time now_{};
  Mailbox mailbox_;
  ConnectionId last_id_ = 0;
  std::set<ConnectionId> open_, hung_up_;  // which the pipe goes on to report of, until it ends
  std::set<PeerId> up_;
  std::shared_ptr<LinkEnd> last_end_;
  Links links_{*this};
};

}  // namespace
}  // namespace potluck

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  potluck::Draws draws(data, size);
  potluck::LinkFuzz(draws).run();
  return 0;
}
