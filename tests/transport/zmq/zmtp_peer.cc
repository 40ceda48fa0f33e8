// A bare TCP peer that speaks as much of ZeroMQ's framing as a test wants, right or wrong.
#include "tests/transport/zmq/zmtp_peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "topology/base/check.h"
#include "transport/wire/wire.h"

namespace potluck {
namespace {

constexpr char kMore = 1, kLong = 2, kCommand = 4;

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

std::string big_endian(uint64_t value, int bytes) {
  std::string text;
  for (int i = bytes - 1; i >= 0; --i) text.push_back(static_cast<char>(value >> (8 * i)));
  return text;
}

std::string property(const std::string& name, const std::string& value) {
  return static_cast<char>(name.size()) + name + big_endian(value.size(), 4) + value;
}

// A test that waits for what never comes, or is never taken, ends all the same.
int patient(int fd) {
  const timeval limit{20, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  const timeval untaken{2, 0};
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &untaken, sizeof(untaken));
  return fd;
}

std::string text_of(const void* data, size_t bytes) {
  return std::string(static_cast<const char*>(data), bytes);
}

}  // namespace

std::string zmtp_greeting() {
  std::string text(64, '\0');  // signature, version 3.0, mechanism, not a server, filler
  text[0] = '\xFF';
  text[9] = '\x7F';
  text[10] = 3;
  text.replace(12, 4, "NULL");
  return text;
}

std::string zmtp_frame(const std::string& body, bool more) {
  const char flags = static_cast<char>((more ? kMore : 0) | (body.size() > 255 ? kLong : 0));
  return flags + big_endian(body.size(), body.size() > 255 ? 8 : 1) + body;
}

ZmtpPeer::ZmtpPeer(int fd) : fd_(patient(fd)) {}

ZmtpPeer::ZmtpPeer(const std::string& endpoint) : ZmtpPeer(socket(AF_INET, SOCK_STREAM, 0)) {
  const sockaddr_in address =
      loopback(static_cast<uint16_t>(std::stoi(endpoint.substr(endpoint.rfind(':') + 1))));
  CHECK(connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0, endpoint);
}

ZmtpPeer::~ZmtpPeer() {
  close(fd_);
}

void ZmtpPeer::hang_up() {
  shutdown(fd_, SHUT_RDWR);
}

void ZmtpPeer::write(const std::string& bytes) {
  for (size_t at = 0; at < bytes.size();) {
    const ssize_t sent = ::send(fd_, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
    if (sent <= 0) return;  // hung up: a test sees it by what it receives
    at += static_cast<size_t>(sent);
  }
}

bool ZmtpPeer::read(char* to, size_t bytes) {
  return bytes == 0 || recv(fd_, to, bytes, MSG_WAITALL) == static_cast<ssize_t>(bytes);
}

bool ZmtpPeer::shake_hands(const std::string& socket_type, const std::string& identity) {
  write(zmtp_greeting());
  char greeting[64];
  if (!read(greeting, sizeof(greeting))) return false;
  const std::string ready =
      "\x05READY" + property("Socket-Type", socket_type) + property("Identity", identity);
  std::string frame = zmtp_frame(ready);
  frame[0] |= kCommand;
  write(frame);
  char head[2];
  if (!read(head, sizeof(head))) return false;
  std::string theirs(static_cast<uint8_t>(head[1]), '\0');
  return read(theirs.data(), theirs.size());
}

void ZmtpPeer::send(const std::vector<std::string>& frames) {
  std::string all;
  for (size_t i = 0; i < frames.size(); ++i) all += zmtp_frame(frames[i], i + 1 < frames.size());
  write(all);
}

void ZmtpPeer::send(const Message& message) {
  const std::vector<std::byte> header = encode_header(message);
  std::vector<std::string> frames{text_of(header.data(), header.size())};
  if (message.payload.bytes) frames.push_back(text_of(message.payload.data, message.payload.bytes));
  send(frames);
}

std::optional<std::vector<std::string>> ZmtpPeer::receive() {
  std::vector<std::string> frames;
  for (char flags = kMore; flags & kMore;) {
    unsigned char size[8] = {};
    if (!read(&flags, 1)) return std::nullopt;
    const size_t digits = flags & kLong ? 8 : 1;
    if (!read(reinterpret_cast<char*>(size), digits)) return std::nullopt;
    uint64_t bytes = 0;
    for (size_t i = 0; i < digits; ++i) bytes = bytes << 8 | size[i];
    frames.emplace_back(bytes, '\0');
    if (!read(frames.back().data(), bytes)) return std::nullopt;
  }
  return frames;
}

std::optional<Message> ZmtpPeer::receive_message() {
  while (const auto frames = receive()) {
    const size_t payload_bytes = frames->size() > 1 ? (*frames)[1].size() : 0;
    Message message = decode_header((*frames)[0].data(), (*frames)[0].size(), payload_bytes);
    if (payload_bytes) message.payload = copy_payload((*frames)[1].data(), payload_bytes);
    if (message.header.kind != MessageKind::heartbeat) return message;
  }
  return std::nullopt;
}

TcpListener::TcpListener() : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof(address);
  auto* any = reinterpret_cast<sockaddr*>(&address);
  CHECK(bind(fd_, any, size) == 0 && listen(fd_, 8) == 0 && getsockname(fd_, any, &size) == 0);
  port_ = ntohs(address.sin_port);
}

TcpListener::~TcpListener() {
  if (fd_ >= 0) close(fd_);
}

int TcpListener::release() {
  return std::exchange(fd_, -1);
}

std::string TcpListener::endpoint() const {
  return "tcp://127.0.0.1:" + std::to_string(port_);
}

int TcpListener::accept() {
  return ::accept(fd_, nullptr, nullptr);
}

}  // namespace potluck
