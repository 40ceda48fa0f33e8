// Connections over ZeroMQ: listening and dialing first, then reading what sockets and their
// monitors bring.
#include "transport/zmq/zmq_pipe.h"

#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "topology/base/key.h"

namespace potluck {
namespace {

constexpr char kNoKey[] = "none";  // no peer's: the gate was not asked
constexpr int kReadsInARow = 64;   // from one socket, before others get their turn
// What an ended connection brought is complete by then: libzmq tells the end a moment before.
constexpr double kDrainSeconds = 0.02;
// libzmq keeps what a stranger sends until it is severed: a hundred megabytes a second, and of the
// smallest frames thirty times their bytes.
constexpr double kLookAtStrangersSeconds = 0.002;
// From the first who is severed until memory is given back, which takes milliseconds.
constexpr double kTrimSeconds = 0.5;
// Less than kConnectSeconds: who waits for a link hears of the name server, not of the listener.
constexpr double kResolveSeconds = 8.0;
// So long without an answer is worth telling. A host that is not there is known for that earlier.
constexpr double kTroubleSeconds = 4.0;

std::string real_endpoint(const ZmqEndpoint& wanted, const std::string& bound) {
  if (wanted.host.empty()) return wanted.text;
  const size_t port_at = wanted.text.rfind(':') + 1;
  return wanted.text.substr(0, port_at) + bound.substr(bound.rfind(':') + 1);
}

bool is_every_interface(const std::string& resolved) {
  return resolved.rfind("tcp://0.0.0.0:", 0) == 0 || resolved.rfind("tcp://[::]:", 0) == 0;
}

// Names are looked up on a thread of their own, which nobody waits for: a name server can take its
// time, and heartbeats cannot.
std::future<std::vector<std::string>> start_resolving(const ZmqEndpoint& endpoint) {
  std::packaged_task<std::vector<std::string>()> task([endpoint] { return resolve(endpoint); });
  std::future<std::vector<std::string>> resolved = task.get_future();
  std::thread(std::move(task)).detach();
  return resolved;
}

}  // namespace

ZmqPipe::~ZmqPipe() {
  for (const std::string& path : socket_files_) unlink(path.c_str());
}

// At the first address of its host that this machine has.
std::string ZmqPipe::listen(const std::string& endpoint) {
  const ZmqEndpoint wanted = parse_zmq_endpoint(endpoint);
  std::vector<std::string> addresses = resolve(wanted);
  if (wanted.host.empty()) clear_socket_file(wanted);
  for (;;) {
    try {
      if (!listener_) listener_ = std::make_unique<ZmqSocket>(context_, zmq::socket_type::router);
      if (!wanted.host.empty()) lock_listener(wanted, addresses.front());
      return bind(wanted, addresses.front());
    } catch (const zmq::error_t& error) {
      const bool elsewhere = error.num() == EADDRNOTAVAIL || error.num() == ENODEV;
      addresses.erase(addresses.begin());
      if (elsewhere && !addresses.empty()) continue;
      throw Fault(FaultKind::world, "cannot listen at " + endpoint + ": " + error.what(),
                  Fix{elsewhere ? "ip address shows those that this machine has and that are up"
                                : "choose another endpoint, or stop what uses it"});
    }
  }
}

// Plain links are for a network that somebody has chosen, and not for all that there are.
void ZmqPipe::lock_listener(const ZmqEndpoint& wanted, const std::string& resolved) {
  if (insecure_plaintext_ && is_every_interface(resolved))
    throw Fault(FaultKind::input,
                "endpoint " + wanted.text + " is at every interface of this machine, and its " +
                    "links would not be locked",
                Fix{"name the address of the network that you trust, or lock the links"});
  if (insecure_plaintext_) return;
  if (!ask_for_keys_)
    throw Fault(FaultKind::input,
                "endpoint " + wanted.text + " can be reached by others, and there is no key to " +
                    "lock its links with",
                Fix{"give this machine a key, or, if you trust all who can reach it, ask for " +
                        std::string("plain links"),
                    Setting::plain_links});
  if (!gate_) gate_ = std::make_unique<Gate>(context_);
  gate_->allow(allowed_keys_);
  listener_->lock_as_listener(own_keys());
}

const LockKeys& ZmqPipe::own_keys() {
  if (!own_keys_) own_keys_ = ask_for_keys_();
  return *own_keys_;
}

std::string ZmqPipe::bind(const ZmqEndpoint& wanted, const std::string& resolved) {
  listener_->bind(resolved);
  if (wanted.host.empty()) socket_files_.push_back(wanted.path);
  return real_endpoint(wanted, listener_->last_endpoint());
}

// Dialing.

ConnectionId ZmqPipe::dial(const Address& address) {
  const ConnectionId id = ++last_id_;
  Connection& connection = connections_[id];
  connection.address = address;
  connection.dialed_at = now();
  try {
    start_dial(connection);
  } catch (const Fault& fault) {
    connection.failure = fault.what();
  } catch (const std::exception& error) {  // no thread is left
    connection.failure = "cannot dial " + address.endpoint + ": " + error.what();
  }
  return id;
}

void ZmqPipe::start_dial(Connection& connection) {
  const ZmqEndpoint parsed = parse_zmq_endpoint(connection.address.endpoint);
  key_for(connection.address);  // what is wrong with it is told before anybody is asked
  if (needs_name_server(parsed))
    connection.resolved = start_resolving(parsed);
  else
    connection.dial = new_dial(resolve(parsed), connection.address);
}

// The key to expect there; empty: the link is plain.
std::string ZmqPipe::key_for(const Address& to) const {
  if (parse_zmq_endpoint(to.endpoint).host.empty()) return "";
  if (to.key.empty() && insecure_plaintext_) return "";
  if (to.key.empty())
    throw Fault(FaultKind::input,
                "there is no key for " + to.endpoint + ", and plain links were not asked for here");
  if (!is_key(to.key)) throw Fault(FaultKind::input, "the key for " + to.endpoint + " is none");
  if (!ask_for_keys_)
    throw Fault(FaultKind::input, "this machine has no key to lock links with " + to.endpoint);
  return to.key;
}

std::unique_ptr<Dial> ZmqPipe::new_dial(std::vector<std::string> addresses, const Address& to) {
  return std::make_unique<Dial>(std::move(addresses), [this, key = key_for(to)] {
    auto socket = std::make_unique<ZmqSocket>(context_, zmq::socket_type::dealer);
    if (!key.empty()) socket->lock_as_dialer(own_keys(), key);
    return socket;
  });
}

void ZmqPipe::try_resolved(Connection& connection) {
  if (!connection.resolved.valid()) return;
  if (connection.resolved.wait_for(Duration{0}) == std::future_status::ready) {
    try {
      connection.dial = new_dial(connection.resolved.get(), connection.address);
    } catch (const Fault& fault) {
      connection.failure = fault.what();
    }
  } else if (now() - connection.dialed_at > from_seconds(kResolveSeconds)) {
    connection.failure =
        "no name server knew the host of " + connection.address.endpoint + " in time";
  }
}

// Until one of its addresses has connected, or all have failed.
void ZmqPipe::advance(ConnectionId id, Connection& connection, PipeEvents& events) {
  if (!connection.dial || connection.hung_up) return;
  if (std::optional<Dial::Connected> connected = connection.dial->advance(now())) {
    connection.dial.reset();
    connection.socket = std::move(connected->socket);
    connection.fd = connected->fd;
    events.connected(id);
    for (const Frames& each : std::exchange(connection.waiting, {})) transmit(connection, each);
    for (const ZmqHappening::Kind each : connected->since) note(each, id, connection, events);
    return;
  }
  const bool failed = connection.dial->failed();
  if (failed || now() - connection.dialed_at > from_seconds(kTroubleSeconds))
    events.failing(id, connection.dial->trouble());
  if (!failed) return;
  connection.dial.reset();
  lose(id, connection, events);
  connection.gone_at = Time{};  // nothing was connected, or brought
}

// Both ways.

void ZmqPipe::send(ConnectionId id, Frames frames) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  Connection& connection = found->second;
  const bool waits = connection.is_dialed() && !connection.socket;
  waits ? connection.waiting.push_back(std::move(frames)) : transmit(connection, frames);
}

void ZmqPipe::transmit(Connection& connection, const Frames& frames) {
  ZmqSocket* socket = connection.socket ? connection.socket.get() : listener_.get();
  if (connection.gone_at || connection.hung_up || !connection.failure.empty()) return;
  if (socket->send(connection.route, frames.header, frames.payload)) return;
  if (connection.is_dialed()) connection.gone_at = now();
  connection.route_ended = true;
}

void ZmqPipe::guard(const Identity& identity) {
  unread_max_ = identity.unread_bytes_max;
  allowed_keys_.clear();
  for (const auto& [peer, keys] : identity.keys) allowed_keys_.insert(keys.begin(), keys.end());
  if (gate_) gate_->allow(allowed_keys_);
}

void ZmqPipe::admit(ConnectionId id) {
  if (const auto found = connections_.find(id); found != connections_.end())
    found->second.admitted = true;
}

// The socket is closed when nothing reads from it (finish()). A connection of the listener's is
// ignored from now on, and severed unless the other side ends it.
void ZmqPipe::hang_up(ConnectionId id, double flush_seconds) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  found->second.hung_up = true;
  found->second.sever_at = now() + from_seconds(flush_seconds);
  if (found->second.socket) found->second.socket->set_linger(flush_seconds);
}

bool ZmqPipe::is_receiving(ConnectionId id) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return false;
  tcp_info info{};
  socklen_t size = sizeof(info);
  if (getsockopt(found->second.fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0)
    return info.tcpi_last_data_recv < kSilenceSeconds * 1000;
  return now() - found->second.receiving_at < from_seconds(kSilenceSeconds);
}

// The kernel does not say when a local socket last got something, but whether something is there.
void ZmqPipe::note_receiving() {
  for (auto& [id, connection] : connections_)
    if (has_unread_bytes(connection.fd)) connection.receiving_at = now();
}

void ZmqPipe::wait(Time deadline) {
  std::vector<zmq::pollitem_t> items{{nullptr, bell_.fd(), ZMQ_POLLIN, 0}};
  if (gate_) gate_->append_poll_items(items);
  if (listener_) listener_->append_poll_items(items);
  for (const auto& [id, connection] : connections_) {
    if (connection.socket && !connection.hung_up) connection.socket->append_poll_items(items);
    if (connection.dial && !connection.hung_up) connection.dial->append_poll_items(items);
  }
  if (has_strangers()) deadline = std::min(deadline, now() + from_seconds(kLookAtStrangersSeconds));
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(deadline - now());
  zmq::poll(items, std::max(wait, std::chrono::milliseconds(0)));
  bell_.quiet();
}

// Reports may dial and hang up: what is added is not read before the next time, and what is hung up
// is removed in finish().
void ZmqPipe::read(PipeEvents& events) {
  note_receiving();
  if (gate_)
    for (const Caller& each : gate_->answer()) events.locked_out(each);
  if (listener_) read_listener(events);
  for (auto& [id, connection] : connections_)
    if (connection.is_dialed()) read_dialed(id, connection, events);
  finish(events);
}

void ZmqPipe::read_listener(PipeEvents& events) {
  look_at_callers(events);
  for (int i = 0; i < kReadsInARow; ++i) {
    if (now() > looked_at_ + from_seconds(kLookAtStrangersSeconds)) look_at_callers(events);
    std::optional<ZmqFrames> frames = listener_->receive();
    if (!frames) return;
    const ConnectionId id = caller(*frames, events);
    if (id && !connections_[id].hung_up) take(id, std::move(*frames), events);
  }
}

void ZmqPipe::look_at_callers(PipeEvents& events) {
  looked_at_ = now();
  read_happenings(events);
  sever_surplus();
  give_memory_back();
}

void ZmqPipe::read_happenings(PipeEvents& events) {
  for (const ZmqHappening& happening : listener_->happenings()) {
    switch (happening.kind) {
      case ZmqHappening::Kind::listening:
        listener_fd_ = happening.fd;
        break;
      case ZmqHappening::Kind::accepted:
        if (strangers_.extract(happening.fd)) report_stranger_gone(events);  // an older one's fd
        strangers_.add(now(), socket_id(happening.fd), peer_host(happening.fd));
        break;
      case ZmqHappening::Kind::starved:
        turn_callers_away();
        break;
      case ZmqHappening::Kind::disconnected:
        end(happening.fd, events);
        break;
      default:
        break;  // of dialers, and of handshakes that a listener has ended
    }
  }
  part_from_sockets(events);
}

// libzmq tells that a socket has ended before its route does. So where the route has ended and the
// socket has not, the socket is a later stranger's who has got the same descriptor.
void ZmqPipe::part_from_sockets(PipeEvents& events) {
  for (auto& [id, connection] : connections_) {
    if (!connection.route_ended || connection.gone_at) continue;
    strangers_.put_back(connection.stranger);
    lose(id, connection, events);
  }
}

void ZmqPipe::end(int fd, PipeEvents& events) {
  strangers_.end(now(), fd);
  for (auto& [id, connection] : connections_)
    if (!connection.is_dialed() && connection.fd == fd) lose(id, connection, events);
}

// libzmq tries again and again to accept what waits, without a pause.
void ZmqPipe::turn_callers_away() {
  if (const std::optional<SocketId> oldest = strangers_.oldest()) severer_.sever(*oldest);
  for (int i = 0; i < kReadsInARow && severer_.turn_away(listener_fd_); ++i) {
  }
}

void ZmqPipe::sever_surplus() {
  for (const SocketId& each : strangers_.surplus(now(), bytes_received)) sever(each);
  for (auto& [id, connection] : connections_)
    if (!connection.is_dialed() && is_surplus(connection)) {
      sever(connection.stranger.socket);
      connection.sever_at.reset();
    }
}

void ZmqPipe::sever(const SocketId& caller) {
  severer_.sever(caller);
  if (!trim_at_) trim_at_ = now() + from_seconds(kTrimSeconds);
}

// The C library keeps what libzmq's thread has freed, tens of megabytes after some floods.
void ZmqPipe::give_memory_back() {
  if (!trim_at_ || now() < *trim_at_) return;
  malloc_trim(0);
  trim_at_.reset();
}

bool ZmqPipe::has_strangers() const {
  return strangers_.any() ||
         std::any_of(connections_.begin(), connections_.end(), [](const auto& each) {
           const Connection& connection = each.second;
           return !connection.is_dialed() && !connection.admitted && !connection.gone_at;
         });
}

// A message without an end comes by no frame that could be read, but the kernel has counted it.
bool ZmqPipe::is_surplus(const Connection& caller) const {
  if (caller.gone_at) return false;
  if (caller.sever_at && now() > *caller.sever_at) return true;
  const uint64_t most = caller.admitted ? unread_max_ : kStrangerBytesMax;
  return most > 0 && bytes_received(caller.fd) > caller.read_bytes + most;
}

void ZmqPipe::lose(ConnectionId id, Connection& connection, PipeEvents& events) {
  if (!connection.gone_at) connection.gone_at = now();
  if (!std::exchange(connection.told_gone, true) && !connection.hung_up) events.hung_up(id);
}

void ZmqPipe::report_stranger_gone(PipeEvents& events) {
  const ConnectionId id = ++last_id_;
  events.called(id, {});
  events.ended(id);
}

// The living connection of the listener's with this descriptor.
ZmqPipe::Connections::iterator ZmqPipe::caller_at(int fd) {
  return std::find_if(connections_.begin(), connections_.end(), [fd](const auto& each) {
    const Connection& connection = each.second;
    return !connection.is_dialed() && !connection.gone_at && connection.fd == fd;
  });
}

// The connection that the frames came by; a new one, if its route is. The happenings come first:
// they tell of the end of an older connection with the same fd. That one's last frames may be read
// later still, and are taken for those of the next with its fd, until that one speaks itself. 0:
// there is nobody to answer.
ConnectionId ZmqPipe::caller(ZmqFrames& frames, PipeEvents& events) {
  if (const auto known = routes_.find(frames.route); known != routes_.end()) return known->second;
  if (frames.kept.empty()) return 0;
  read_happenings(events);
  const int fd = fd_of(frames.kept[0]);
  const auto earlier = caller_at(fd);
  const ConnectionId id = ++last_id_;
  Connection& connection = connections_[id];
  connection.route = frames.route;
  connection.fd = fd;
  routes_[frames.route] = id;
  if (const auto stranger = strangers_.extract(fd)) {
    connection.gone_at = stranger->gone_at;
    connection.stranger = *stranger;
  } else if (earlier != connections_.end()) {
    connection.stranger = earlier->second.stranger;
    lose(earlier->first, earlier->second, events);
  } else {
    connection.gone_at = now();
  }
  connection.key = key_of(frames.kept[0]);
  if (gate_ && connection.key.empty() && !is_local(connection.fd)) connection.key = kNoKey;
  events.called(id, {address_of(frames.kept[0]), connection.key});
  return id;
}

void ZmqPipe::read_dialed(ConnectionId id, Connection& connection, PipeEvents& events) {
  try_resolved(connection);
  advance(id, connection, events);
  if (connection.socket)
    for (const ZmqHappening& happening : connection.socket->happenings())
      note(happening.kind, id, connection, events);
  if (!connection.failure.empty() && !connection.hung_up)
    events.unreachable(id, connection.failure);
  if (!connection.socket) return;
  for (int i = 0; i < kReadsInARow && !connection.hung_up; ++i) {
    std::optional<ZmqFrames> frames = connection.socket->receive();
    if (!frames) return;
    take(id, std::move(*frames), events);
  }
}

// Something has happened to a dialed connection.
void ZmqPipe::note(ZmqHappening::Kind happening, ConnectionId id, Connection& connection,
                   PipeEvents& events) {
  const std::string& endpoint = connection.address.endpoint;
  switch (happening) {
    case ZmqHappening::Kind::disconnected:
      return lose(id, connection, events);
    case ZmqHappening::Kind::locked_out:
      connection.failure = "the worker at " + endpoint + " takes no calls by this machine's key " +
                           own_keys().public_key;
      return;
    case ZmqHappening::Kind::mismatched:
      connection.failure = "the worker at " + endpoint +
                           (connection.address.key.empty()
                                ? " locks its links, and the plan names no key for it"
                                : " does not lock its links, and the plan names a key for it");
      return;
    default:
      return;  // of listeners, and of dials that have not connected
  }
}

void ZmqPipe::take(ConnectionId id, ZmqFrames frames, PipeEvents& events) {
  Connection& connection = connections_[id];
  for (const zmq::message_t& frame : frames.kept)
    connection.read_bytes += wire_bytes(frame, !connection.key.empty());
  if (frames.count == 0 || frames.count > ZmqSocket::kFramesKept)
    return events.broken(id, "a message cannot be read: it has " + std::to_string(frames.count) +
                                 " frames, not 1 or 2");
  Payload payload;
  if (frames.count > 1 && frames.kept[1].size() > 0)
    payload = payload_of(std::move(frames.kept[1]));
  events.arrived(id, frames.kept[0].data(), frames.kept[0].size(), std::move(payload));
}

// Forgets what is over: what ended long enough ago for all that it brought to be read, and what was
// hung up, where that is for us to close.
void ZmqPipe::finish(PipeEvents& events) {
  const Time before = now() - from_seconds(kDrainSeconds);
  const auto is_over = [&](const std::optional<Time>& gone_at) {
    return gone_at && *gone_at < before;
  };
  for (auto at = connections_.begin(); at != connections_.end();) {
    const ConnectionId id = at->first;
    const Connection& each = at->second;
    const bool over = is_over(each.gone_at) || (each.hung_up && each.is_dialed());
    if (over && !each.hung_up) events.ended(id);
    if (over) routes_.erase(each.route);
    at = over ? connections_.erase(at) : std::next(at);
  }
  for (size_t left = strangers_.forget(before); left > 0; --left) report_stranger_gone(events);
}

}  // namespace potluck
