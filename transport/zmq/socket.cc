// A ZeroMQ socket with the settings that links need, and the events of its monitor.
#include "transport/zmq/socket.h"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "topology/base/check.h"
#include "transport/transport.h"
#include "transport/zmq/gate.h"

namespace potluck {
namespace {

constexpr int kMilliseconds = 1000;
constexpr int kFramesInARow = 1000;
constexpr int kEvents = ZMQ_EVENT_CONNECTED | ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED |
                        ZMQ_EVENT_LISTENING | ZMQ_EVENT_ACCEPT_FAILED |
                        ZMQ_EVENT_CLOSED |  // of a dial that found nobody
                        ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
constexpr size_t kShortFrameMax = 255;  // its head has 2 bytes, that of a longer one 9
constexpr size_t kLockBytes = 33;       // of a frame: command name 8, nonce 8, MAC 16, flags 1

std::string next_monitor_address() {
  static std::atomic<uint64_t> count{0};
  return "inproc://monitor-" + std::to_string(count++);
}

void release(void*, void* owner) {
  delete static_cast<std::shared_ptr<const void>*>(owner);
}

// Without a copy: the frame shares the payload's ownership.
zmq::message_t frame_of(const Payload& payload) {
  auto owner = std::make_unique<std::shared_ptr<const void>>(payload.owner);
  void* data = const_cast<std::byte*>(payload.data);  // libzmq only reads it
  return zmq::message_t(data, payload.bytes, release, owner.release());
}

std::optional<ZmqHappening> happening_of(const zmq::message_t& event) {
  uint16_t id = 0;
  int32_t value = 0;  // the connection's or the listener's fd, or an errno
  CHECK(event.size() == sizeof(id) + sizeof(value), event.size());
  std::memcpy(&id, event.data(), sizeof(id));
  std::memcpy(&value, event.data<char>() + sizeof(id), sizeof(value));
  if (id == ZMQ_EVENT_CONNECTED) return ZmqHappening{ZmqHappening::Kind::connected, value};
  if (id == ZMQ_EVENT_ACCEPTED) return ZmqHappening{ZmqHappening::Kind::accepted, value};
  if (id == ZMQ_EVENT_DISCONNECTED) return ZmqHappening{ZmqHappening::Kind::disconnected, value};
  if (id == ZMQ_EVENT_LISTENING) return ZmqHappening{ZmqHappening::Kind::listening, value};
  if (id == ZMQ_EVENT_ACCEPT_FAILED && value != EAGAIN)
    return ZmqHappening{ZmqHappening::Kind::starved, -1};
  if (id == ZMQ_EVENT_CLOSED) return ZmqHappening{ZmqHappening::Kind::disconnected, -1};
  if (id == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
    return ZmqHappening{ZmqHappening::Kind::locked_out, -1};
  if (id == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL &&
      value == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH)
    return ZmqHappening{ZmqHappening::Kind::mismatched, -1};
  return std::nullopt;
}

}  // namespace

ZmqSocket::ZmqSocket(zmq::context_t& context, zmq::socket_type type)
    : is_router_(type == zmq::socket_type::router),
      socket_(context, type),
      monitor_(context, zmq::socket_type::pair) {
  const int connect_ms = kConnectSeconds * kMilliseconds;
  socket_.set(zmq::sockopt::linger, 0);
  // Nothing is dropped at a high-water mark: LinkEnd counts, and refuses at kLinkQueueMax.
  socket_.set(zmq::sockopt::sndhwm, 0);
  socket_.set(zmq::sockopt::rcvhwm, 0);
  socket_.set(zmq::sockopt::maxmsgsize, static_cast<int64_t>(kPayloadBytesMax + kLockBytes));
  socket_.set(zmq::sockopt::handshake_ivl, connect_ms);  // Strangers ends what stays silent later
  socket_.set(zmq::sockopt::tcp_keepalive, 1);
  socket_.set(zmq::sockopt::tcp_maxrt, connect_ms);  // frees what waits for a host that vanished
  if (is_router_)
    socket_.set(zmq::sockopt::router_mandatory, true);
  else
    socket_.set(zmq::sockopt::reconnect_ivl, -1);
  const std::string address = next_monitor_address();
  if (zmq_socket_monitor(socket_.handle(), address.c_str(), kEvents) != 0) throw zmq::error_t();
  monitor_.set(zmq::sockopt::linger, 0);
  monitor_.set(zmq::sockopt::rcvhwm, 0);
  monitor_.connect(address);
}

// The monitor is stopped while there is somebody to read it: libzmq's own thread waits for ever for
// a reader of its next event otherwise.
ZmqSocket::~ZmqSocket() {
  zmq_socket_monitor(socket_.handle(), nullptr, 0);
}

void ZmqSocket::lock_as_listener(const LockKeys& own) {
  socket_.set(zmq::sockopt::curve_server, true);
  socket_.set(zmq::sockopt::curve_secretkey, zmq::buffer(key_bytes(own.secret_key)));
  socket_.set(zmq::sockopt::zap_domain, kGateDomain);
}

void ZmqSocket::lock_as_dialer(const LockKeys& own, const std::string& expected) {
  socket_.set(zmq::sockopt::curve_serverkey, zmq::buffer(key_bytes(expected)));
  socket_.set(zmq::sockopt::curve_publickey, zmq::buffer(key_bytes(own.public_key)));
  socket_.set(zmq::sockopt::curve_secretkey, zmq::buffer(key_bytes(own.secret_key)));
}

void ZmqSocket::bind(const std::string& address) {
  socket_.set(zmq::sockopt::ipv6, address.find('[') != std::string::npos);
  socket_.bind(address);
}

void ZmqSocket::connect(const std::string& address) {
  socket_.set(zmq::sockopt::ipv6, address.find('[') != std::string::npos);
  socket_.connect(address);
}

std::string ZmqSocket::last_endpoint() const {
  return socket_.get(zmq::sockopt::last_endpoint);
}

bool ZmqSocket::send(const std::string& route, const std::vector<std::byte>& header,
                     const Payload& payload) {
  using zmq::send_flags;
  const bool more = payload.bytes > 0;
  try {
    if (is_router_ && !socket_.send(zmq::buffer(route), send_flags::sndmore | send_flags::dontwait))
      return false;
    if (!socket_.send(zmq::buffer(header),
                      (more ? send_flags::sndmore : send_flags::none) | send_flags::dontwait))
      return false;
    return !more || socket_.send(frame_of(payload), send_flags::dontwait);
  } catch (const zmq::error_t& error) {
    if (error.num() == EHOSTUNREACH) return false;
    throw;
  }
}

std::optional<ZmqFrames> ZmqSocket::receive() {
  zmq::message_t frame;
  for (int i = 0; i < kFramesInARow; ++i) {
    if (!socket_.recv(frame, zmq::recv_flags::dontwait)) return std::nullopt;
    const bool more = frame.more(), is_route = is_router_ && !begun_;
    if (is_route)
      coming_.route = frame.to_string();
    else if (++coming_.count <= kFramesKept)
      coming_.kept.push_back(std::move(frame));
    begun_ = more;
    if (!more) return std::exchange(coming_, {});
  }
  return std::nullopt;
}

std::vector<ZmqHappening> ZmqSocket::happenings() {
  std::vector<ZmqHappening> happenings;
  zmq::message_t event, address;
  while (monitor_.recv(event, zmq::recv_flags::dontwait)) {
    [[maybe_unused]] const auto got = monitor_.recv(address, zmq::recv_flags::dontwait);
    if (const auto happening = happening_of(event)) happenings.push_back(*happening);
  }
  return happenings;
}

void ZmqSocket::set_linger(double seconds) {
  socket_.set(zmq::sockopt::linger, static_cast<int>(seconds * kMilliseconds));
}

void ZmqSocket::append_poll_items(std::vector<zmq::pollitem_t>& items) {
  items.push_back({socket_.handle(), 0, ZMQ_POLLIN, 0});
  items.push_back({monitor_.handle(), 0, ZMQ_POLLIN, 0});
}

size_t wire_bytes(const zmq::message_t& frame, bool is_locked) {
  const size_t bytes = frame.size() + (is_locked ? kLockBytes : 0);
  return bytes + (bytes > kShortFrameMax ? 9 : 2);
}

Payload payload_of(zmq::message_t frame) {
  if (reinterpret_cast<uintptr_t>(frame.data()) % alignof(uint64_t) != 0)
    return copy_payload(frame.data(), frame.size());  // a short one, within libzmq's read buffer
  const auto owner = std::make_shared<zmq::message_t>(std::move(frame));
  Payload payload;
  payload.data = owner->data<std::byte>();
  payload.bytes = owner->size();
  payload.owner = owner;
  return payload;
}

int fd_of(zmq::message_t& frame) {
  return zmq_msg_get(frame.handle(), ZMQ_SRCFD);
}

std::string address_of(zmq::message_t& frame) {
  const char* address = zmq_msg_gets(frame.handle(), "Peer-Address");
  return address && *address ? address : "this machine";
}

}  // namespace potluck
