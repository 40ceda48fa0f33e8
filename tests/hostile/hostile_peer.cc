// Makes messages that no honest party would, and reads what is answered.
#include "tests/hostile/hostile_peer.h"

#include "topology/base/check.h"
#include "transport/wire/wire.h"

namespace potluck {

HostilePeer::HostilePeer(const std::string& endpoint) : raw_(endpoint) {
  raw_.shake_hands("DEALER");
}

HostilePeer::HostilePeer(int fd) : raw_(fd) {
  raw_.shake_hands("ROUTER");
}

void HostilePeer::hello(PeerId as, RingId ring) {
  Message message = word(MessageKind::hello, ring, 0);
  message.header.source = as;
  message.hello.emplace();
  message.hello->software = "evil 6.6.6";
  message.hello->name = "evil";
  say(message);
}

void HostilePeer::say_with(const std::string& three_bytes, const Message& message) {
  constexpr std::string_view kMark = "~~~";
  const std::vector<std::byte> bytes = encode_header(message);
  std::string header(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  CHECK(header.find(kMark) != std::string::npos && three_bytes.size() == kMark.size());
  for (size_t at; (at = header.find(kMark)) != std::string::npos;)
    header.replace(at, kMark.size(), three_bytes);
  raw_.send(std::vector<std::string>{header});
}

std::optional<Message> HostilePeer::hear(MessageKind kind) {
  std::optional<Message> message = raw_.receive_message();
  while (message && message->header.kind != kind) message = raw_.receive_message();
  return message;
}

std::string HostilePeer::complaint() {
  std::optional<Message> message = raw_.receive_message();
  while (message && !message->fault) message = raw_.receive_message();
  return message ? message->fault->what : "";
}

Message word(MessageKind kind, RingId ring, uint64_t session) {
  Message message;
  message.header.kind = kind;
  stamp(message.header, ring);
  message.header.session = session;
  return message;
}

Message load_of(const Plan& plan, PeerId you, RingId ring, Digest model) {
  Message message = word(MessageKind::load, ring, 0);
  message.load = Load{plan, you, {model, 0, {}}};
  return message;
}

Message rows_of(MessageKind kind, RingId ring, int rows, size_t bytes) {
  Message message = word(kind, ring);
  message.header.request = 1;
  message.header.rows = rows;
  message.payload = own_payload(std::vector<std::byte>(bytes));
  return message;
}

}  // namespace potluck
