// Messages as values: names of their kinds, payloads that own their bytes, and the limits.
#include "transport/message.h"

#include <cstring>
#include <utility>

#include "transport/proof/ring_proof.h"

namespace potluck {
namespace {

void check_length(const char* field, size_t found, size_t most) {
  if (found > most)
    throw Fault(FaultKind::input, std::string(field) + " has length " + std::to_string(found) +
                                      "; a message carries at most " + std::to_string(most));
}

// Bytes that are there as a whole, or not at all.
void check_bytes(const char* field, const std::string& found, size_t bytes) {
  if (!found.empty() && found.size() != bytes)
    throw Fault(FaultKind::input, std::string(field) + " has length " +
                                      std::to_string(found.size()) + ", not " +
                                      std::to_string(bytes));
}

void check_text(const char* field, const std::string& text) {
  check_length(field, text.size(), kTextBytesMax);
}

void check(const Fingerprint& model) {
  check_length("model.layers", model.layers.size(), kLayersMax);
}

void check(const Hello& hello) {
  check_text("hello.software", hello.software);
  check_text("hello.name", hello.name);
  check_bytes("hello.nonce", hello.nonce, kNonceBytes);
}

void check(const WorkerPlan& worker) {
  check_text("plan.name", worker.name);
  check_text("plan.endpoint", worker.endpoint);
  check_text("plan.device", worker.device);
  check_text("plan.key", worker.key);
}

void check(const Load& load) {
  check(load.plan.head);
  check_length("plan.stages", load.plan.stages.size(), kMaxStages);
  for (const WorkerPlan& stage : load.plan.stages) check(stage);
  check(load.model);
  check_bytes("load.secret", load.secret, kRingSecretBytes);
}

void check(const Ready& ready) {
  check_text("ready.endpoint", ready.endpoint);
  check_text("ready.device", ready.device);
  check_length("ready.contents", ready.contents.size(), kLayersMax);
}

void check(const CardLink& link) {
  check_text("cardLink.card", link.card);
}

}  // namespace

const char* message_kind_name(MessageKind kind) {
  switch (kind) {
    case MessageKind::hello:
      return "hello";
    case MessageKind::load:
      return "load";
    case MessageKind::ready:
      return "ready";
    case MessageKind::open:
      return "open";
    case MessageKind::close:
      return "close";
    case MessageKind::join:
      return "join";
    case MessageKind::joined:
      return "joined";
    case MessageKind::drain:
      return "drain";
    case MessageKind::truncate:
      return "truncate";
    case MessageKind::cancel:
      return "cancel";
    case MessageKind::fault:
      return "fault";
    case MessageKind::heartbeat:
      return "heartbeat";
    case MessageKind::shutdown:
      return "shutdown";
    case MessageKind::goodbye:
      return "goodbye";
    case MessageKind::card_link:
      return "card_link";
    case MessageKind::proof:
      return "proof";
    case MessageKind::encode:
      return "encode";
    case MessageKind::encode_done:
      return "encode_done";
    case MessageKind::denoise:
      return "denoise";
    case MessageKind::candidates:
      return "candidates";
  }
  return "unknown";
}

void stamp(Header& header, RingId ring) {
  header.incarnation = ring.incarnation;
  header.epoch = ring.epoch;
}

RingId ring_of(const Header& header) {
  return {header.incarnation, header.epoch};
}

Payload own_payload(std::vector<std::byte> bytes) {
  const auto owner = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
  Payload payload;
  payload.data = owner->data();
  payload.bytes = owner->size();
  payload.owner = owner;
  return payload;
}

Payload copy_payload(const void* data, size_t bytes) {
  std::vector<std::byte> copy(bytes);
  if (bytes) std::memcpy(copy.data(), data, bytes);
  return own_payload(std::move(copy));
}

void stamp(Header& header, const Identity& from) {
  header.source = from.self;
  stamp(header, RingId{from.incarnation, from.epoch});
}

Message message_from(const Identity& from, MessageKind kind, PeerId to) {
  Message message;
  message.header.kind = kind;
  message.header.destination = to;
  stamp(message.header, from);
  return message;
}

void check_limits(const Message& message) {
  check_length("hops", message.header.hops.size(), kHopsMax);
  if (message.hello) check(*message.hello);
  if (message.load) check(*message.load);
  if (message.ready) check(*message.ready);
  if (message.proof) check_bytes("proof.mac", message.proof->mac, kProofBytes);
  if (message.card_link) check(*message.card_link);
  check_length("payload", message.payload.bytes, kPayloadBytesMax);
}

}  // namespace potluck
