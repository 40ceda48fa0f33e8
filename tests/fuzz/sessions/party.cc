// A party's host runs its links over the wires, as an I/O thread would; its loop is run_once() of
// state_machine.cc in made-up time.
#include "tests/fuzz/sessions/party.h"

#include <deque>
#include <set>
#include <utility>

#include "topology/base/check.h"
#include "topology/base/utf8.h"
#include "transport/link/link_host.h"
#include "transport/link/link_transport.h"
#include "transport/wire/wire.h"

namespace potluck {

Message read_frames(const void* header, size_t header_bytes, const Payload& payload) {
  Message message = decode_header(header, header_bytes, payload.bytes);
  message.payload = payload;
  const Digest digest = message.header.digest;
  if (digest && digest != digest_bytes(payload.data, payload.bytes))
    throw Fault(FaultKind::refused, "the payload has another digest");
  return message;
}

void check_line(const std::string& line) {
  for (size_t at = 0; at < line.size(); at += utf8_length(std::string_view(line).substr(at)))
    CHECK(!drives_terminal(code_point(std::string_view(line).substr(at))), line);
}

class WireHost final : public LinkHost, private LinkActions, private PipeEvents {
 public:
  WireHost(Wires& wires, Party::Tamper tamper) : wires_(wires), tamper_(std::move(tamper)) {}
  ~WireHost() override {
    links_.stop(time());
    wires_.remove(*this);
  }

  Time time() const override { return wires_.now(); }
  Mailbox& mailbox() override { return mailbox_; }
  void order(std::function<void(Links&)> work) override { work(links_); }
  std::string listen(const std::string& endpoint) override {
    wires_.listen(*this, endpoint);
    return endpoint;
  }
  Parcel pack(Message message) override {
    std::vector<std::byte> header = encode_header(message);
    return {std::move(message), std::move(header)};
  }

 private:
  // The links ask.
  ConnectionId dial(const Address& address) override {
    return wires_.dial(*this, address.endpoint);
  }
  void send(ConnectionId connection, Parcel parcel) override {
    if (parcel.header.empty()) parcel.header = encode_header(parcel.message);
    for (Frames& each : tamper_({std::move(parcel.header), std::move(parcel.message.payload)}))
      wires_.send(connection, std::move(each));
  }
  void hang_up(ConnectionId connection, double) override { wires_.hang_up(connection); }
  void guard(const Identity&) override {}
  void admit(ConnectionId) override {}
  bool is_receiving(ConnectionId) override { return false; }
  void report(std::shared_ptr<LinkEnd> end, Event event) override {
    mailbox_.post(std::move(end), std::move(event));
    CHECK(mailbox_.waiting_bytes() <= kAllLinksBytesMax, mailbox_.waiting_bytes());
  }
  uint64_t waiting_bytes() override { return mailbox_.waiting_bytes(); }
  void log(const std::string& line) override { check_line(line); }

  // The wires report.
  void called(ConnectionId connection, Caller caller) override {
    links_.called(time(), connection, std::move(caller));
  }
  void locked_out(const Caller& caller) override { links_.locked_out(caller); }
  void connected(ConnectionId connection) override { links_.connected(connection); }
  void arrived(ConnectionId connection, const void* header, size_t header_bytes,
               Payload payload) override {
    Message message;
    try {
      message = read_frames(header, header_bytes, payload);
    } catch (const Fault& fault) {
      return links_.broken(connection, fault.what());
    }
    links_.arrived(time(), connection, std::move(message));
  }
  void broken(ConnectionId connection, const std::string& why) override {
    links_.broken(connection, why);
  }
  void hung_up(ConnectionId connection) override { links_.hung_up(connection); }
  void ended(ConnectionId connection) override { links_.ended(time(), connection); }
  void failing(ConnectionId connection, const std::string& why) override {
    links_.failing(connection, why);
  }
  void unreachable(ConnectionId connection, const std::string& why) override {
    links_.unreachable(connection, why);
  }

  Wires& wires_;
  const Party::Tamper tamper_;
  Mailbox mailbox_;
  Links links_{*this};
};

Party::Party(Wires& wires, StateMachine& machine, Identity identity, const std::string& endpoint,
             Tamper tamper)
    : wires_(wires),
      machine_(machine),
      host_(new WireHost(wires, std::move(tamper))),
      transport_(make_link_transport(std::unique_ptr<LinkHost>(host_))) {
  transport_->set_identity(std::move(identity));
  if (!endpoint.empty()) transport_->listen(endpoint);
}

Party::~Party() = default;

bool Party::turn() {
  std::optional<Event> event = transport_->wait(Time{});
  if (!event && !machine_.idle_work()) return false;
  give(event ? machine_.handle(wires_.now(), *std::move(event)) : machine_.tick(wires_.now()));
  return true;
}

void Party::tick() {
  host_->order([this](Links& links) { links.tick(wires_.now()); });
  give(machine_.tick(wires_.now()));
}

void Party::give(Outbox out) {
  std::set<PeerId> told;
  std::deque<Event> lost;
  for (;;) {
    const bool finished = out.finished;
    for (Event& down : apply(std::move(out), *transport_))
      if (told.insert(down.peer).second) lost.push_back(std::move(down));
    if (finished || lost.empty()) return;
    out = machine_.handle(wires_.now(), std::move(lost.front()));
    lost.pop_front();
  }
}

uint64_t Party::waiting_bytes() const {
  return host_->mailbox().waiting_bytes();
}

}  // namespace potluck
