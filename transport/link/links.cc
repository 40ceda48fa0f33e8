// One party's links: orders and reports first, then strangers, dialing, what comes on a link, and
// what a link says for itself.
#include "transport/link/links.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "topology/base/text.h"
#include "topology/base/version.h"

namespace potluck {
namespace {

constexpr char kClosedByPeer[] = "closed by peer";  // the reason of an ordinary goodbye
constexpr double kRedialSeconds = 0.1;
// A coordinator that waits for one worker has its place at the others for 10 s: it gives up before
// they do, and says who did not come.
constexpr double kDialSeconds = kConnectSeconds - 0.5;
constexpr double kPauseSeconds = 0.5;  // between two ticks: we ourselves did not run

std::string seconds_text(const char* format, double value) {
  char text[32];
  std::snprintf(text, sizeof(text), format, value);
  return text;
}

std::string named(MessageKind kind) {
  return std::string("a ") + message_kind_name(kind);
}

[[noreturn]] void refuse_message(const std::string& why) {
  throw Fault(FaultKind::refused, why);
}

}  // namespace

// Orders.

void Links::set_identity(Time now, Identity identity) {
  identity_ = std::move(identity);
  actions_.limit_unread(identity_.unread_bytes_max);
  for (const auto& link : links_) {
    if (!link->called || !link->is_live()) continue;
    const std::string why = objection(link->hello);
    if (why.empty()) continue;
    report_down(*link, why);
    leave(now, *link);
  }
}

void Links::connect(Time now, std::shared_ptr<LinkEnd> end, const std::string& endpoint) {
  if (Link* existing = live(end->peer)) {
    if (existing->state != Link::State::up) return;  // dialing already
    if (existing->end != end) existing->also = end;
    return report_up(*existing);
  }
  // The end of a link whose down still waits in the mailbox: the new link counts afresh.
  if (end->used) end = std::make_shared<LinkEnd>(end->peer);
  Link& link = add_link(std::move(end));
  link.endpoint = endpoint;
  link.give_up_at = now + from_seconds(kDialSeconds);
  try_dial(now, link);
}

void Links::send(const std::shared_ptr<LinkEnd>& end, Parcel parcel) {
  Link* link = find(end);
  if (!link || link->dropped) return;  // its down is on the way
  if (link->state == Link::State::dialing)
    link->waiting.push_back(std::move(parcel));
  else
    transmit(*link, std::move(parcel));
}

void Links::drop(Time now, const std::shared_ptr<LinkEnd>& end) {
  Link* link = find(end);
  if (!link || !link->is_live()) return;
  // The owner knows the link by the end of its own connect(): let the other end finish as well.
  if (link->end != end) report_down(*link, "dropped");
  leave(now, *link);
}

void Links::tell_taken(Time now, const std::shared_ptr<LinkEnd>& end) {
  Link* link = find(end);
  if (link && link->state == Link::State::up) beat(now, *link);
}

void Links::stop(Time now) {
  stop_at_ = now + from_seconds(kFlushSeconds);
  for (const auto& link : links_)
    if (link->is_live()) leave(now, *link);
}

bool Links::stopped(Time now) const {
  const auto is_closed = [](const auto& link) { return link->state == Link::State::closed; };
  return stop_at_ && (now >= *stop_at_ || std::all_of(links_.begin(), links_.end(), is_closed));
}

// Reports.

void Links::called(ConnectionId connection, const std::string& address) {
  strangers_[connection] = address;
}

void Links::connected(ConnectionId connection) {
  if (Link* link = find(connection)) link->connected = true;
}

void Links::arrived(Time now, ConnectionId connection, Message message) {
  if (strangers_.count(connection)) return meet(now, connection, std::move(message));
  Link* link = find(connection);
  if (!link) return;
  try {
    handle(now, *link, std::move(message));
  } catch (const Fault& fault) {
    refuse(*link, fault.what());
  }
}

void Links::broken(ConnectionId connection, const std::string& why) {
  if (const auto stranger = strangers_.extract(connection))
    turn_away(connection, stranger.mapped(), why);
  else if (Link* link = find(connection))
    refuse(*link, why);
}

void Links::hung_up(ConnectionId connection) {
  if (Link* link = find(connection)) link->gone = true;
}

void Links::ended(Time now, ConnectionId connection) {
  if (strangers_.erase(connection))
    actions_.log("potluck: a connection to " + identity_.hello.name +
                 " ended without a hello in potluck's protocol");
  Link* link = find(connection);
  if (!link) return;
  link->connection = 0;
  if (link->state != Link::State::dialing) return close(*link, kClosedByPeer);
  link->gone = false;
  link->next_try_at = now + from_seconds(kRedialSeconds);
}

void Links::failing(ConnectionId connection, const std::string& why) {
  if (Link* link = find(connection)) link->trouble = why;
}

void Links::unreachable(ConnectionId connection, const std::string& why) {
  if (Link* link = find(connection)) close(*link, why);
}

// After a pause of our own (a debugger, a laptop's lid) everybody seems silent: listen again.
void Links::tick(Time now) {
  const bool paused = last_tick_ && now - *last_tick_ > from_seconds(kPauseSeconds);
  last_tick_ = now;
  for (const auto& link : links_) {
    if (paused) link->heard_at = now;
    link->state == Link::State::dialing ? tick_dial(now, *link) : tick_link(now, *link);
  }
  std::erase_if(links_, [](const auto& link) { return link->state == Link::State::closed; });
}

// Links.

Links::Link& Links::add_link(std::shared_ptr<LinkEnd> end) {
  std::erase_if(links_, [](const auto& link) { return link->state == Link::State::closed; });
  end->used = true;
  links_.push_back(std::make_unique<Link>());
  links_.back()->end = std::move(end);
  return *links_.back();
}

Links::Link* Links::find(const std::shared_ptr<LinkEnd>& end) {
  for (const auto& link : links_)
    if (link->is(end) && link->state != Link::State::closed) return link.get();
  return nullptr;
}

Links::Link* Links::find(ConnectionId connection) {
  for (const auto& link : links_)
    if (connection && link->connection == connection && link->state != Link::State::closed)
      return link.get();
  return nullptr;
}

Links::Link* Links::live(PeerId peer) {
  for (const auto& link : links_)
    if (link->end->peer == peer && link->is_live()) return link.get();
  return nullptr;
}

bool Links::is_leaving(PeerId peer) const {
  return std::any_of(links_.begin(), links_.end(), [&](const auto& link) {
    return link->end->peer == peer && link->state == Link::State::leaving;
  });
}

// Strangers: each is one until it says hello.

void Links::meet(Time now, ConnectionId connection, Message hello) {
  const std::string address = strangers_.extract(connection).mapped();
  try {
    if (hello.header.kind != MessageKind::hello)
      refuse_message("it begins with " + named(hello.header.kind) + ", not a hello");
    check_claim(now, hello);
    welcome(now, connection, std::move(hello));
  } catch (const Fault& fault) {
    turn_away(connection, address, fault.what());
  }
}

// Why a caller may not be who its hello says; empty if it may.
std::string Links::objection(const Message& hello) const {
  const PeerId claimed = hello.header.source;
  const std::string who = hello.hello->name + " says it is peer " + std::to_string(claimed);
  if (stop_at_) return "no calls are taken any more";
  if (claimed == identity_.self) return who + ", and calls itself";
  if (!identity_.callers) return "";
  if (std::count(identity_.callers->begin(), identity_.callers->end(), claimed) == 0)
    return who + ", from which no call is taken";
  const RingId ours{identity_.incarnation, identity_.epoch};
  if (claimed != kCoordinatorPeer && ring_of(hello.header) != ours)
    return who + ", but of another ring";
  return "";
}

// The first holder of a peer id keeps it. Whoever is turned away changes nothing, and is told
// nothing of the ring.
void Links::check_claim(Time now, const Message& hello) {
  if (const std::string why = objection(hello); !why.empty()) refuse_message(why);
  const PeerId claimed = hello.header.source;
  Link* holder = live(claimed);
  if (!holder || holder->state != Link::State::up) return;
  if (holder->gone) return close(*holder, kClosedByPeer);
  if (claimed == kCoordinatorPeer)
    refuse_message("it has worked for another coordinator for " +
                   seconds_text("%.0f s", seconds(now - holder->up_at)) +
                   "; wait for that to end, or start another worker");
  refuse_message(hello.hello->name + " says it is peer " + std::to_string(claimed) +
                 ", but there is a link with that peer already");
}

// When two peers dial each other at the same time, the call of the lower id stands, and both sides
// know it.
void Links::welcome(Time now, ConnectionId connection, Message hello) {
  Link* link = live(hello.header.source);
  if (link && identity_.self < link->end->peer) return actions_.hang_up(connection, 0);
  if (!link) link = &add_link(std::make_shared<LinkEnd>(hello.header.source));
  if (link->connection) actions_.hang_up(link->connection, 0);
  link->connection = connection;
  link->called = true;
  link->gone = false;
  say_hello(*link);
  come_up(now, *link, std::move(hello));
}

void Links::turn_away(ConnectionId connection, const std::string& address, const std::string& why) {
  actions_.log("potluck: turned away a connection from " + address + ": " + why);
  Identity nobody;
  nobody.self = kUnassignedPeer;
  actions_.send(connection, {goodbye(nobody, kUnassignedPeer, why), {}});
  actions_.hang_up(connection, kFlushSeconds);
}

// Dialing: tried again, quietly, until somebody says hello or the time is up.

// A link that we dropped a moment ago may still hold our place at the peer: it goes first.
void Links::try_dial(Time now, Link& link) {
  if (link.connection || now < link.next_try_at || is_leaving(link.end->peer)) return;
  ++link.tries;
  link.connection = actions_.dial(link.endpoint);
  say_hello(link);
}

void Links::tick_dial(Time now, Link& link) {
  if (now <= link.give_up_at) return try_dial(now, link);
  const std::string waited = seconds_text("%.1f s", kDialSeconds);
  if (link.connected)
    return close(link, link.endpoint + " takes connections but said no hello within " + waited +
                           "; is it a potluck worker?");
  const std::string tries = std::to_string(link.tries) + " tries";
  if (!link.trouble.empty())
    return close(link,
                 link.trouble + " (" + tries + " of " + link.endpoint + " within " + waited + ")");
  close(link, "connection refused or no answer at " + link.endpoint + " in " + tries + " within " +
                  waited + "; is the worker started there?");
}

// The messages of a link.

void Links::handle(Time now, Link& link, Message message) {
  const MessageKind kind = message.header.kind;
  link.heard_at = now;
  message.header.source = link.end->peer;
  if (kind == MessageKind::goodbye) return take_goodbye(link, message);
  if (link.state == Link::State::leaving) return;
  if ((kind == MessageKind::hello) != (link.state == Link::State::dialing))
    refuse_message(named(kind) + " came out of turn; a link begins with one hello");
  if (kind == MessageKind::hello) return come_up(now, link, std::move(message));
  if (kind == MessageKind::heartbeat) return take_heartbeat(link, *message.heartbeat);
  deliver(link, std::move(message));
}

void Links::take_goodbye(Link& link, const Message& message) {
  const std::string& why = message.fault->what;
  if (link.state == Link::State::dialing) return close(link, "refused by peer: " + why);
  if (link.state == Link::State::up) say_goodbye(link, kClosedByPeer);
  close(link, why == kClosedByPeer ? why : kClosedByPeer + (": " + why));
}

void Links::take_heartbeat(Link& link, const Heartbeat& heartbeat) {
  if (heartbeat.taken > link.sent)
    refuse_message("a heartbeat counts " + std::to_string(heartbeat.taken) + " messages taken of " +
                   std::to_string(link.sent));
  link.end->taken_by_peer = heartbeat.taken;
}

void Links::check_room(const Link& link, uint64_t bytes) const {
  if (link.end->waiting_bytes + bytes > kLinkBytesMax)
    refuse_message("more than " + bytes_text(kLinkBytesMax) + " came that were not taken yet");
  if (actions_.waiting_bytes() + bytes > kAllLinksBytesMax)
    refuse_message("more than " + bytes_text(kAllLinksBytesMax) +
                   " came by all links that were not taken yet");
}

void Links::deliver(Link& link, Message message) {
  if (link.received - link.end->taken >= kLinkQueueMax)
    refuse_message("more than " + std::to_string(kLinkQueueMax) +
                   " messages came that were not taken yet");
  check_room(link, bytes_of(message));
  ++link.received;
  Event event;
  event.peer = link.end->peer;
  event.message = std::move(message);
  actions_.report(link.end, std::move(event));
}

void Links::tick_link(Time now, Link& link) {
  if (link.state == Link::State::leaving && now > link.give_up_at) return close(link, "");
  if (link.state != Link::State::up) return;
  if (now - link.beat_at > from_seconds(kHeartbeatSeconds)) beat(now, link);
  if (now - link.heard_at > from_seconds(kSilenceSeconds) &&
      !actions_.is_receiving(link.connection))
    refuse(link, "silent for " + seconds_text("%.1f s", kSilenceSeconds));
}

// A link's turns.

void Links::come_up(Time now, Link& link, Message hello) {
  link.state = Link::State::up;
  link.up_at = link.heard_at = link.beat_at = now;
  link.hello = std::move(hello);
  link.hello.header.source = link.end->peer;
  if (!link.dropped) report_up(link);
  for (Parcel& each : std::exchange(link.waiting, {})) transmit(link, std::move(each));
  if (link.dropped) leave(now, link);
}

// A dialing link that has something to send stays until it is up, if that is soon.
void Links::leave(Time now, Link& link) {
  link.dropped = true;
  link.give_up_at = now + from_seconds(kFlushSeconds);
  if (link.state == Link::State::dialing && !link.waiting.empty()) return;
  if (link.state == Link::State::dialing) return close(link, "");
  say_goodbye(link, kClosedByPeer);
  link.state = Link::State::leaving;
}

void Links::close(Link& link, const std::string& reason) {
  if (link.state == Link::State::closed) return;
  if (!link.dropped) report_down(link, reason);
  if (link.connection) actions_.hang_up(link.connection, link.said_goodbye ? kFlushSeconds : 0);
  link.state = Link::State::closed;
}

void Links::refuse(Link& link, const std::string& reason) {
  if (link.state != Link::State::dialing || link.connected) say_goodbye(link, reason);
  close(link, reason);
}

// Messages that a link makes itself.

void Links::transmit(Link& link, Parcel parcel) {
  if (link.gone) return;
  ++link.sent;
  actions_.send(link.connection, std::move(parcel));
}

void Links::say(Link& link, Message message) {
  if (!link.gone) actions_.send(link.connection, {std::move(message), {}});
}

// A dialer's names the ring that the link is for; an answer has nobody to convince.
void Links::say_hello(Link& link) {
  Message message = message_from(identity_, MessageKind::hello, link.end->peer);
  if (link.called) stamp(message.header, RingId{});
  message.hello = identity_.hello;
  say(link, std::move(message));
}

Message Links::goodbye(const Identity& from, PeerId to, const std::string& reason) const {
  Message message = message_from(from, MessageKind::goodbye, to);
  const std::string& name = from.hello.name;
  message.fault = FaultReport{FaultKind::lost, reason,
                              name.empty() ? kSoftware : name + " (" + kSoftware + ")"};
  return message;
}

void Links::say_goodbye(Link& link, const std::string& reason) {
  link.said_goodbye = true;
  say(link, goodbye(identity_, link.end->peer, reason));
}

void Links::beat(Time now, Link& link) {
  Message message = message_from(identity_, MessageKind::heartbeat, link.end->peer);
  message.heartbeat = Heartbeat{link.end->taken};
  link.beat_at = now;
  say(link, std::move(message));
}

void Links::report_up(const Link& link) {
  Event event;
  event.kind = Event::Kind::up;
  event.peer = link.end->peer;
  event.message = link.hello;
  actions_.report(link.end, std::move(event));
}

void Links::report_down(const Link& link, const std::string& reason) {
  Event event;
  event.kind = Event::Kind::down;
  event.peer = link.end->peer;
  event.reason = reason;
  actions_.report(link.end, std::move(event));
}

}  // namespace potluck
