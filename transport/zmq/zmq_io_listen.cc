// Connections that others make: each is a stranger until it says hello.
#include <cstring>
#include <future>
#include <utility>

#include "topology/base/version.h"
#include "transport/wire/wire.h"
#include "transport/zmq/zmq_endpoint.h"
#include "transport/zmq/zmq_io.h"

namespace potluck {
namespace {

std::string real_endpoint(const ZmqEndpoint& wanted, const std::string& bound) {
  if (wanted.host.empty()) return wanted.text;
  const size_t port_at = wanted.text.rfind(':') + 1;
  return wanted.text.substr(0, port_at) + bound.substr(bound.rfind(':') + 1);
}

void check_reach(const std::string& endpoint, const std::string& resolved, bool insecure) {
  if (insecure || is_loopback(resolved)) return;
  throw Fault(FaultKind::input,
              "endpoint " + endpoint +
                  " can be reached from other machines, and links are not encrypted yet; listen at "
                  "127.0.0.1, or give --insecure-plaintext if you trust the network");
}

}  // namespace

std::string ZmqIo::listen(const std::string& endpoint) {
  const ZmqEndpoint wanted = parse_zmq_endpoint(endpoint);
  const std::string resolved = resolve(wanted);
  check_reach(endpoint, resolved, options_.insecure_plaintext);
  if (wanted.host.empty()) clear_socket_file(wanted);
  const auto bound = std::make_shared<std::promise<std::string>>();
  order([bound, wanted, resolved](ZmqIo& io) {
    try {
      bound->set_value(io.bind(wanted, resolved));
    } catch (...) {
      bound->set_exception(std::current_exception());
    }
  });
  try {
    return bound->get_future().get();
  } catch (const zmq::error_t& error) {
    throw Fault(FaultKind::world, "cannot listen at " + endpoint + ": " + error.what() +
                                      "; choose another endpoint, or stop what uses it");
  }
}

std::string ZmqIo::bind(const ZmqEndpoint& wanted, const std::string& resolved) {
  if (!listener_) listener_ = std::make_unique<ZmqSocket>(context_, zmq::socket_type::router);
  listener_->bind(resolved);
  if (wanted.host.empty()) socket_files_.push_back(wanted.path);
  return real_endpoint(wanted, listener_->last_endpoint());
}

void ZmqIo::read_listener() {
  if (!listener_) return;
  read_listener_happenings();
  for (int i = 0; i < kReadsInARow; ++i) {
    std::optional<ZmqFrames> frames = listener_->receive();
    if (!frames) return;
    take_from_route(std::move(*frames));
  }
}

void ZmqIo::read_listener_happenings() {
  for (const ZmqHappening& happening : listener_->happenings()) {
    if (happening.kind == ZmqHappening::Kind::accepted) strangers_.insert(happening.fd);
    if (happening.kind != ZmqHappening::Kind::disconnected) continue;
    if (strangers_.erase(happening.fd))
      options_.log("potluck: a connection to " + identity_.hello.name +
                   " ended without a hello in potluck's protocol");
    std::erase_if(turned_away_, [&](const auto& each) { return each.second == happening.fd; });
    for (const auto& link : links_)
      if (!link->route.empty() && link->fd == happening.fd && !link->gone_at) link->gone_at = now();
  }
}

void ZmqIo::take_from_route(ZmqFrames frames) {
  for (const auto& link : links_)
    if (link->route == frames.route && link->state != ZmqLink::State::closed)
      return handle(*link, std::move(frames));
  if (turned_away_.count(frames.route) || frames.kept.empty()) return;
  accept(std::move(frames));
}

// The happenings come first: they tell of the end of an older connection with the same fd.
void ZmqIo::accept(ZmqFrames frames) {
  const Caller caller{frames.route, fd_of(frames.kept[0]), address_of(frames.kept[0])};
  read_listener_happenings();
  strangers_.erase(caller.fd);
  try {
    Message hello = read_message(std::move(frames));
    if (hello.header.kind != MessageKind::hello)
      throw Fault(FaultKind::refused, std::string("it begins with a ") +
                                          message_kind_name(hello.header.kind) + ", not a hello");
    check_claim(hello);
    welcome(caller, std::move(hello));
  } catch (const Fault& fault) {
    turn_away(caller, fault.text());
  }
}

// The first holder of a peer id keeps it. When two peers dial each other at the same time, the call
// of the lower id stands, and both sides know it.
void ZmqIo::check_claim(const Message& hello) {
  const PeerId claimed = hello.header.source;
  const std::string who = hello.hello->name + " says it is peer " + std::to_string(claimed);
  if (stopping_) throw Fault(FaultKind::refused, identity_.hello.name + " is leaving");
  if (claimed == identity_.self)
    throw Fault(FaultKind::refused, who + ", which is " + identity_.hello.name + " itself");
  ZmqLink* holder = live(claimed);
  if (!holder || holder->state != ZmqLink::State::up) return;
  if (!holder->gone_at && claimed == kCoordinatorPeer)
    throw Fault(FaultKind::refused, identity_.hello.name +
                                        " works for another coordinator; wait for that to end, or "
                                        "start another worker");
  if (!holder->gone_at)
    throw Fault(FaultKind::refused, who + ", but " + identity_.hello.name +
                                        " has a link with that peer already (" +
                                        holder->hello.hello->name + ")");
  if (!holder->route.empty())
    turned_away_[holder->route] = holder->fd;  // what it brought and nobody has read
  close(*holder, kClosedByPeer);
}

void ZmqIo::welcome(const Caller& caller, Message hello) {
  ZmqLink* link = live(hello.header.source);
  if (link && identity_.self < link->end->peer) {
    turned_away_[caller.route] = caller.fd;  // quietly: our own call is on its way to them
    return;
  }
  if (!link) link = &add_link(std::make_shared<LinkEnd>(hello.header.source));
  link->socket.reset();
  link->route = caller.route;
  link->fd = caller.fd;
  link->gone_at.reset();
  say_hello(*link);
  come_up(*link, std::move(hello));
}

void ZmqIo::turn_away(const Caller& caller, const std::string& why) {
  turned_away_[caller.route] = caller.fd;
  options_.log("potluck: turned away a connection from " + caller.address + ": " + why);
  const Message message = goodbye(kUnassignedPeer, why);
  listener_->send(caller.route, encode_header(message), {});
}

}  // namespace potluck
