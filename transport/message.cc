#include "transport/message.h"

#include <cstring>
#include <utility>

namespace potluck {

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

}  // namespace potluck
