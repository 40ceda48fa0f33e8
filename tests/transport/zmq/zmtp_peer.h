// A peer that speaks ZeroMQ's framing by hand over TCP, to say what libzmq and potluck would not.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "transport/message.h"

namespace potluck {

// Software of another version says that it speaks this.
inline constexpr uint16_t kOtherProtocol = kProtocolVersion + 1;

class ZmtpPeer final {
 public:
  // Dials "tcp://127.0.0.1:PORT", or takes over an accepted connection.
  explicit ZmtpPeer(const std::string& endpoint);
  explicit ZmtpPeer(int fd);
  ~ZmtpPeer();
  ZmtpPeer(const ZmtpPeer&) = delete;
  ZmtpPeer& operator=(const ZmtpPeer&) = delete;

  void hang_up();
  void write(const std::string& bytes);
  // Greeting and READY, both ways. False: the other side hung up.
  bool shake_hands(const std::string& socket_type, const std::string& identity = "");
  void send(const std::vector<std::string>& frames);
  void send(const Message& message);  // header and payload, exactly as given
  // The next message's frames; nothing when the other side hung up.
  std::optional<std::vector<std::string>> receive();
  // The next message of potluck's that is not a heartbeat.
  std::optional<Message> receive_message();

 private:
  bool read(char* to, size_t bytes);
  int fd_;
};

// A TCP port of ours on loopback.
class TcpListener final {
 public:
  TcpListener();
  ~TcpListener();
  TcpListener(const TcpListener&) = delete;
  TcpListener& operator=(const TcpListener&) = delete;
  std::string endpoint() const;
  int accept();
  int release();  // the socket is the caller's

 private:
  int fd_;
  uint16_t port_ = 0;
};

std::string zmtp_greeting();
std::string zmtp_frame(const std::string& body, bool more = false);

}  // namespace potluck
