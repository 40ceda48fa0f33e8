// The life of a link from hello to goodbye.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cstdio>
#include <utility>

#include "transport/wire/wire.h"
#include "transport/zmq/zmq_io.h"

namespace potluck {
namespace {

// What an ended connection brought is complete by then: libzmq tells the end a moment before.
constexpr double kDrainSeconds = 0.02;

// A message larger than a slow link carries in kSilenceSeconds is no silence: its bytes arrive.
bool bytes_arrive(int fd) {
  tcp_info info{};
  socklen_t size = sizeof(info);
  return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
         info.tcpi_last_data_recv < kSilenceSeconds * 1000;
}

std::string silence_text() {
  char text[32];
  std::snprintf(text, sizeof(text), "silent for %.1f s", kSilenceSeconds);
  return text;
}

void check_frames(const ZmqFrames& frames) {
  if (frames.count == 0 || frames.count > ZmqSocket::kFramesKept)
    throw Fault(FaultKind::refused, "a message cannot be read: it has " +
                                        std::to_string(frames.count) + " frames, not 1 or 2");
}

void check_digest(const Message& message) {
  const Header& h = message.header;
  if (h.digest == 0) return;
  const Digest found = digest_bytes(message.payload.data, message.payload.bytes);
  if (found != h.digest)
    throw Fault(FaultKind::refused, std::string("the payload of a ") + message_kind_name(h.kind) +
                                        " (" + std::to_string(message.payload.bytes) +
                                        " bytes) has digest " + digest_text(found) + ", not " +
                                        digest_text(h.digest) +
                                        "; a machine or a line on the way damages data");
}

}  // namespace

Message read_message(ZmqFrames frames) {
  check_frames(frames);
  const size_t payload_bytes = frames.count > 1 ? frames.kept[1].size() : 0;
  Message message = decode_header(frames.kept[0].data(), frames.kept[0].size(), payload_bytes);
  if (payload_bytes) message.payload = payload_of(std::move(frames.kept[1]));
  check_digest(message);
  return message;
}

void ZmqIo::handle(ZmqLink& link, ZmqFrames frames) {
  if (link.state == ZmqLink::State::closed) return;
  try {
    handle(link, read_message(std::move(frames)));
  } catch (const Fault& fault) {
    refuse(link, fault.text());
  }
}

void ZmqIo::handle(ZmqLink& link, Message message) {
  const MessageKind kind = message.header.kind;
  link.heard_at = now();
  message.header.source = link.end->peer;
  if (kind == MessageKind::goodbye) return take_goodbye(link, message);
  if (link.state == ZmqLink::State::leaving) return;
  if ((kind == MessageKind::hello) != (link.state == ZmqLink::State::dialing))
    throw Fault(FaultKind::refused, std::string("a ") + message_kind_name(kind) +
                                        " came out of turn; a link begins with one hello");
  if (kind == MessageKind::hello) return come_up(link, std::move(message));
  if (kind == MessageKind::heartbeat) return take_heartbeat(link, *message.heartbeat);
  deliver(link, std::move(message));
}

void ZmqIo::take_goodbye(ZmqLink& link, const Message& message) {
  const std::string& why = message.fault->what;
  if (link.state == ZmqLink::State::dialing) return close(link, "refused by peer: " + why);
  if (link.state == ZmqLink::State::up) say_goodbye(link, kClosedByPeer);
  close(link, why == kClosedByPeer ? why : "closed by peer: " + why);
}

void ZmqIo::take_heartbeat(ZmqLink& link, const Heartbeat& heartbeat) {
  if (heartbeat.taken > link.sent)
    throw Fault(FaultKind::refused, "a heartbeat counts " + std::to_string(heartbeat.taken) +
                                        " messages taken of " + std::to_string(link.sent));
  link.end->taken_by_peer = heartbeat.taken;
}

void ZmqIo::deliver(ZmqLink& link, Message message) {
  if (link.received - link.end->taken >= kLinkQueueMax)
    throw Fault(FaultKind::refused, "more than " + std::to_string(kLinkQueueMax) +
                                        " messages came that were not taken yet");
  ++link.received;
  Event event;
  event.peer = link.end->peer;
  event.message = std::move(message);
  mailbox_.post(link.end, std::move(event));
}

void ZmqIo::read_dialed(ZmqLink& link) {
  for (const ZmqHappening& happening : link.socket->happenings()) {
    if (happening.kind == ZmqHappening::Kind::disconnected) {
      if (!link.gone_at) link.gone_at = now();
    } else {
      link.connected = true;
      link.fd = happening.fd;
    }
  }
  for (int i = 0; i < kReadsInARow; ++i) {
    std::optional<ZmqFrames> frames = link.socket->receive();
    if (!frames) return;
    handle(link, std::move(*frames));
  }
}

void ZmqIo::tick_link(ZmqLink& link, Time now) {
  using State = ZmqLink::State;
  if (link.state != State::up && link.state != State::leaving) return;
  if (link.gone_at && now - *link.gone_at > from_seconds(kDrainSeconds))
    return close(link, kClosedByPeer);
  if (link.state == State::leaving && now > link.give_up_at) return close(link, "");
  if (link.state != State::up) return;
  if (now - link.beat_at > from_seconds(kHeartbeatSeconds)) beat(link, now);
  if (now - link.heard_at > from_seconds(kSilenceSeconds) && !bytes_arrive(link.fd))
    refuse(link, silence_text());
}

}  // namespace potluck
