#include "transport/zmq/zmq.h"

#include <cstdio>
#include <utility>

#include "transport/wire/wire.h"
#include "transport/zmq/zmq_io.h"

namespace potluck {
namespace {

// A taken message frees a place in its sender's queue: say so before that queue runs full.
constexpr uint64_t kTellTakenEvery = kLinkQueueMax / 4;

// The owner's side: a mailbox to read from, and an I/O thread to give orders to.
class ZmqTransport final : public Transport {
 public:
  explicit ZmqTransport(ZmqOptions options) : io_(std::move(options), mailbox_) {}

  void set_identity(Identity identity) override {
    Message hello;  // too long a name is found here, not on the I/O thread
    hello.hello = identity.hello;
    encode_header(hello);
    io_.order([identity = std::move(identity)](ZmqIo& io) { io.set_identity(identity); });
  }

  std::string listen(const std::string& endpoint) override { return io_.listen(endpoint); }

  void connect(PeerId peer, const std::string& endpoint) override {
    io_.order([end = mailbox_.claim(peer), endpoint](ZmqIo& io) { io.connect(end, endpoint); });
  }

  void send(Message message) override {
    const std::shared_ptr<LinkEnd> end = mailbox_.current(message.header.destination);
    if (!end) return;  // its down has been reported
    Header& header = message.header;
    header.protocol = kProtocolVersion;
    header.digest = digest_bytes(message.payload.data, message.payload.bytes);
    std::vector<std::byte> frame = encode_header(message);
    count_sent(*end);
    Payload payload = std::move(message.payload);
    if (!payload.owner) payload = copy_payload(payload.data, payload.bytes);
    io_.order([end, frame = std::move(frame), payload = std::move(payload)](ZmqIo& io) {
      io.send(end, frame, payload);
    });
  }

  void drop(PeerId peer) override {
    if (const std::shared_ptr<LinkEnd> end = mailbox_.drop(peer))
      io_.order([end](ZmqIo& io) { io.drop(end); });
  }

  std::optional<Event> wait(Time deadline) override {
    std::optional<Mailbox::Delivery> delivery = mailbox_.wait(deadline);
    if (!delivery) return std::nullopt;
    if (delivery->event.kind == Event::Kind::message && delivery->end->taken % kTellTakenEvery == 0)
      io_.order([end = delivery->end](ZmqIo& io) { io.tell_taken(end); });
    return std::move(delivery->event);
  }

  void wake() override { mailbox_.wake(); }

 private:
  Mailbox mailbox_;
  ZmqIo io_;
};

}  // namespace

std::unique_ptr<Transport> make_zmq_transport(ZmqOptions options) {
  if (!options.log)
    options.log = [](const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); };
  return std::make_unique<ZmqTransport>(std::move(options));
}

}  // namespace potluck
