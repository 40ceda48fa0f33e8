// A peer that means harm: it says hello as whom it likes, and then whatever a test wants, over
// ZeroMQ's framing by hand (zmtp_peer.h). Nothing that it says passes through potluck's own links.
#pragma once

#include <optional>
#include <string>

#include "tests/transport/zmq/zmtp_peer.h"
#include "topology/plan/plan.h"
#include "transport/message.h"

namespace potluck {

class HostilePeer final {
 public:
  // Dials, or takes over a connection on which somebody has called; shakes hands either way.
  explicit HostilePeer(const std::string& endpoint);
  explicit HostilePeer(int fd);

  // Says hello as this peer, for that ring.
  void hello(PeerId as, RingId ring);
  void say(const Message& message) { raw_.send(message); }
  // The message with these bytes, which no encoder writes, in place of each "~~~" of its texts.
  void say_with(const std::string& three_bytes, const Message& message);
  ZmtpPeer& raw() { return raw_; }

  // The next message of this kind, whatever comes before it; nothing when the other side hangs up.
  std::optional<Message> hear(MessageKind kind);
  // The text of the next goodbye or fault; empty if the other side hangs up without one.
  std::string complaint();

 private:
  ZmtpPeer raw_;
};

// Messages of any content, addressed to nobody in particular.
Message word(MessageKind kind, RingId ring, uint64_t session = 1);
Message load_of(const Plan& plan, PeerId you, RingId ring, Digest model);
// A message of so many rows whose payload has so many bytes.
Message rows_of(MessageKind kind, RingId ring, int rows, size_t bytes);

// Three bytes of a text that would clear a terminal, reorder its line, break it, or are no UTF-8.
inline constexpr const char* kTerminalDrivers[] = {"\x1B[J", "\xC2\x9BJ", "\xE2\x80\xAE",
                                                   "\xE2\x80\xA8", "\xFF\xFE\xC2"};

}  // namespace potluck
