#include "transport/zmq/zmq_io.h"

#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "topology/base/check.h"
#include "topology/base/version.h"
#include "transport/wire/wire.h"
#include "transport/zmq/zmq_endpoint.h"

namespace potluck {
namespace {

constexpr double kFlushSeconds = 1.0;  // after a drop, or at the end
constexpr double kLoopSeconds = 0.02;  // between looks at the clock
constexpr double kPauseSeconds = 0.5;  // a longer one means that we ourselves did not run

int make_bell() {
  const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0)
    throw Fault(FaultKind::world, std::string("cannot make an eventfd: ") + std::strerror(errno));
  return fd;
}

// Signals are for the owner's threads.
template <typename Body>
std::thread start_without_signals(Body body) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread(std::move(body));
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

}  // namespace

ZmqIo::ZmqIo(ZmqOptions options, Mailbox& mailbox)
    : options_(std::move(options)), mailbox_(mailbox), bell_(make_bell()) {
  thread_ = start_without_signals([this] { run(); });
}

ZmqIo::~ZmqIo() {
  order([](ZmqIo& io) { io.stop(); });
  thread_.join();
  ::close(bell_);
}

void ZmqIo::order(Order order) {
  {
    const std::lock_guard lock(mutex_);
    orders_.push_back(std::move(order));
  }
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(bell_, &one, sizeof(one));  // full: it rings
}

void ZmqIo::stop() {
  stopping_ = true;
  stop_at_ = now() + from_seconds(kFlushSeconds);
  for (const auto& link : links_)
    if (link->is_live()) leave(*link, now());
}

// Sockets belong to this thread: they are made here, and closed before it ends.
void ZmqIo::run() {
  last_loop_ = now();
  while (!finished(now())) {
    wait_for_work();
    run_orders();
    read_sockets();
    tick(now());
    std::erase_if(links_, [](const auto& link) { return link->state == ZmqLink::State::closed; });
  }
  links_.clear();
  for (const std::string& path : socket_files_) unlink(path.c_str());
  listener_.reset();
}

bool ZmqIo::finished(Time now) const {
  return stopping_ && (links_.empty() || now >= stop_at_);
}

void ZmqIo::wait_for_work() {
  std::vector<zmq::pollitem_t> items{{nullptr, bell_, ZMQ_POLLIN, 0}};
  if (listener_) listener_->append_poll_items(items);
  for (const auto& link : links_)
    if (link->socket) link->socket->append_poll_items(items);
  zmq::poll(items, std::chrono::milliseconds(static_cast<int>(kLoopSeconds * 1000)));
}

void ZmqIo::run_orders() {
  uint64_t rung = 0;
  [[maybe_unused]] const ssize_t got = read(bell_, &rung, sizeof(rung));
  std::vector<Order> orders;
  {
    const std::lock_guard lock(mutex_);
    orders.swap(orders_);
  }
  for (const Order& each : orders) each(*this);
}

void ZmqIo::read_sockets() {
  read_listener();
  for (size_t i = 0; i < links_.size(); ++i)
    if (links_[i]->socket) read_dialed(*links_[i]);
}

// After a pause of our own (a debugger, a laptop's lid) everybody seems silent: ask again.
void ZmqIo::tick(Time now) {
  const bool paused = now - last_loop_ > from_seconds(kPauseSeconds);
  last_loop_ = now;
  for (const auto& link : links_) {
    if (paused) link->heard_at = now;
    if (link->state == ZmqLink::State::dialing) tick_dial(*link, now);
    tick_link(*link, now);
  }
}

// Orders.

void ZmqIo::connect(std::shared_ptr<LinkEnd> end, const std::string& endpoint) {
  if (ZmqLink* existing = live(end->peer)) {
    if (existing->state != ZmqLink::State::up) return;  // dialing already
    if (existing->end != end) existing->also = end;
    return post_up(*existing);
  }
  // Of a link whose down still waits in the mailbox: the new link counts afresh.
  if (end->used) end = std::make_shared<LinkEnd>(end->peer);
  start_dial(add_link(std::move(end)), endpoint);
}

void ZmqIo::send(const std::shared_ptr<LinkEnd>& end, const std::vector<std::byte>& header,
                 const Payload& payload) {
  ZmqLink* link = find(end);
  if (!link || link->dropped) return;  // its down is on the way
  if (link->state == ZmqLink::State::dialing)
    link->waiting.push_back({header, payload});
  else
    transmit(*link, header, payload);
}

void ZmqIo::drop(const std::shared_ptr<LinkEnd>& end) {
  ZmqLink* link = find(end);
  if (!link || !link->is_live()) return;
  // The owner knows the link by the end of its own connect(): let the other end finish as well.
  if (link->end != end) post_down(*link, "dropped");
  leave(*link, now());
}

void ZmqIo::tell_taken(const std::shared_ptr<LinkEnd>& end) {
  ZmqLink* link = find(end);
  if (link && link->state == ZmqLink::State::up) beat(*link, now());
}

// Links.

ZmqLink& ZmqIo::add_link(std::shared_ptr<LinkEnd> end) {
  end->used = true;
  links_.push_back(std::make_unique<ZmqLink>());
  links_.back()->end = std::move(end);
  return *links_.back();
}

ZmqLink* ZmqIo::find(const std::shared_ptr<LinkEnd>& end) {
  for (const auto& link : links_)
    if (link->is(end) && link->state != ZmqLink::State::closed) return link.get();
  return nullptr;
}

ZmqLink* ZmqIo::live(PeerId peer) {
  for (const auto& link : links_)
    if (link->end->peer == peer && link->is_live()) return link.get();
  return nullptr;
}

Message ZmqIo::own_message(MessageKind kind, PeerId to) const {
  Message message;
  message.header.kind = kind;
  message.header.source = identity_.self;
  message.header.destination = to;
  message.header.incarnation = identity_.incarnation;
  message.header.epoch = identity_.epoch;
  return message;
}

void ZmqIo::transmit(ZmqLink& link, const std::vector<std::byte>& header, const Payload& payload) {
  ZmqSocket* socket = link.socket ? link.socket.get() : listener_.get();
  if (link.gone_at) return;
  ++link.sent;
  if (!socket->send(link.route, header, payload)) link.gone_at = now();
}

void ZmqIo::say(ZmqLink& link, const Message& message) {
  transmit(link, encode_header(message), {});
  --link.sent;
}

void ZmqIo::say_hello(ZmqLink& link) {
  Message message = own_message(MessageKind::hello, link.end->peer);
  message.hello = identity_.hello;
  say(link, message);
}

Message ZmqIo::goodbye(PeerId to, const std::string& reason) const {
  Message message = own_message(MessageKind::goodbye, to);
  const std::string me = identity_.hello.name + " (" + kSoftware + ")";
  message.fault = FaultReport{FaultKind::lost, reason, me};
  return message;
}

// If we close right behind it, it is still sent.
void ZmqIo::say_goodbye(ZmqLink& link, const std::string& reason) {
  if (link.socket) link.socket->set_linger(kFlushSeconds);
  say(link, goodbye(link.end->peer, reason));
}

void ZmqIo::beat(ZmqLink& link, Time now) {
  Message message = own_message(MessageKind::heartbeat, link.end->peer);
  message.heartbeat = Heartbeat{link.end->taken};
  link.beat_at = now;
  say(link, message);
}

void ZmqIo::post_up(const ZmqLink& link) {
  Event event;
  event.kind = Event::Kind::up;
  event.peer = link.end->peer;
  event.message = link.hello;
  mailbox_.post(link.end, std::move(event));
}

void ZmqIo::post_down(const ZmqLink& link, const std::string& reason) {
  Event event;
  event.kind = Event::Kind::down;
  event.peer = link.end->peer;
  event.reason = reason;
  mailbox_.post(link.end, std::move(event));
}

void ZmqIo::come_up(ZmqLink& link, Message hello) {
  link.state = ZmqLink::State::up;
  link.heard_at = link.beat_at = now();
  link.hello = std::move(hello);
  if (!link.dropped) post_up(link);
  for (const ZmqLink::Outgoing& each : std::exchange(link.waiting, {}))
    transmit(link, each.header, each.payload);
  if (link.dropped) leave(link, now());
}

// What a dialing link has to send, it sends when it is up, if that is soon.
void ZmqIo::leave(ZmqLink& link, Time now) {
  link.dropped = true;
  link.give_up_at = now + from_seconds(kFlushSeconds);
  if (link.state == ZmqLink::State::dialing && !link.waiting.empty()) return;
  if (link.state == ZmqLink::State::dialing) return close(link, kClosedByPeer);
  say_goodbye(link, kClosedByPeer);
  link.state = ZmqLink::State::leaving;
}

void ZmqIo::close(ZmqLink& link, const std::string& reason) {
  if (link.state == ZmqLink::State::closed) return;
  if (!link.dropped) post_down(link, reason);
  if (!link.route.empty() && !link.gone_at) turned_away_[link.route] = link.fd;
  link.state = ZmqLink::State::closed;
}

void ZmqIo::refuse(ZmqLink& link, const std::string& reason) {
  if (link.state != ZmqLink::State::dialing || link.connected) say_goodbye(link, reason);
  close(link, reason);
}

}  // namespace potluck
