// The owner's side: counts what it sends and takes, and leaves the rest to the links.
#include "transport/link/link_transport.h"

#include <utility>

namespace potluck {
namespace {

// A taken message frees a place in its sender's queue: say so before that queue runs full.
constexpr uint64_t kTellTakenEvery = kLinkQueueMax / 4;

// A transport around this one has said a word of its own, whose place its peer's owner wants back.
bool is_word(const Message& message) {
  return message.header.kind == MessageKind::card_link && message.card_link &&
         message.card_link->step != CardLink::Step::taken;
}

class LinkTransport final : public Transport {
 public:
  explicit LinkTransport(std::unique_ptr<LinkHost> host)
      : host_(std::move(host)), mailbox_(host_->mailbox()) {}

  void set_identity(Identity identity) override {
    Message hello;  // too long a name is found here, not when it is sent
    hello.hello = identity.hello;
    check_limits(hello);
    host_->order([host = host_.get(), identity = std::move(identity)](Links& links) {
      links.set_identity(host->time(), identity);
    });
  }

  std::string listen(const std::string& endpoint) override { return host_->listen(endpoint); }

  void connect(PeerId peer, const Address& address) override {
    host_->order([host = host_.get(), end = mailbox_.claim(peer), address](Links& links) {
      links.connect(host->time(), end, address);
    });
  }

  void send(Message message) override {
    const std::shared_ptr<LinkEnd> end = mailbox_.current(message.header.destination);
    if (!end) return;  // its down has been reported
    check_limits(message);
    Payload& payload = message.payload;
    message.header.protocol = kProtocolVersion;
    message.header.digest = digest_bytes(payload.data, payload.bytes);
    if (!payload.owner) payload = copy_payload(payload.data, payload.bytes);
    Parcel parcel = host_->pack(std::move(message));
    count_sent(*end, parcel.header.size() + bytes_of(parcel.message));
    host_->order([end, parcel = std::move(parcel)](Links& links) mutable {
      links.send(end, std::move(parcel));
    });
  }

  void drop(PeerId peer) override {
    if (const std::shared_ptr<LinkEnd> end = mailbox_.drop(peer))
      host_->order([host = host_.get(), end](Links& links) { links.drop(host->time(), end); });
  }

  std::optional<Event> wait(Time deadline) override {
    std::optional<Mailbox::Delivery> delivery = mailbox_.wait(deadline);
    if (!delivery) return std::nullopt;
    if (delivery->event.kind == Event::Kind::message &&
        (delivery->end->taken % kTellTakenEvery == 0 || is_word(delivery->event.message)))
      host_->order([host = host_.get(), end = delivery->end](Links& links) {
        links.tell_taken(host->time(), end);
      });
    return std::move(delivery->event);
  }

  void wake() override { mailbox_.wake(); }

 private:
  const std::unique_ptr<LinkHost> host_;
  Mailbox& mailbox_;
};

}  // namespace

std::unique_ptr<Transport> make_link_transport(std::unique_ptr<LinkHost> host) {
  return std::make_unique<LinkTransport>(std::move(host));
}

}  // namespace potluck
