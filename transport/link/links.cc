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
  actions_.guard(identity_);
  for (const auto& link : links_) {
    if (!link->called || !link->is_live()) continue;
    const std::string why = objection(link->hello, link->key);
    if (why.empty()) continue;
    report_down(*link, why);
    leave(now, *link);
  }
}

void Links::connect(Time now, std::shared_ptr<LinkEnd> end, const Address& address) {
  if (Link* existing = live(end->peer)) {
    if (existing->state != Link::State::up) return;  // dialing already
    if (existing->end != end) existing->also = end;
    return report_up(*existing);
  }
  // The end of a link whose down still waits in the mailbox: the new link counts afresh.
  if (end->used) end = std::make_shared<LinkEnd>(end->peer);
  Link& link = add_link(std::move(end));
  link.address = address;
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

void Links::called(Time now, ConnectionId connection, Caller caller) {
  callers_.add(now, connection, std::move(caller));
}

void Links::locked_out(const Caller& caller) {
  actions_.log("potluck: locked out a connection from " + caller.address + ": its key " +
               caller.key + " is none that may call");
}

void Links::connected(ConnectionId connection) {
  if (Link* link = find(connection)) link->connected = true;
}

void Links::arrived(Time now, ConnectionId connection, Message message) {
  if (callers_.has(connection)) return meet(now, connection, std::move(message));
  Link* link = find(connection);
  if (!link) return;
  try {
    handle(now, *link, std::move(message));
  } catch (const Fault& fault) {
    refuse(*link, fault.what());
  }
}

void Links::broken(ConnectionId connection, const std::string& why) {
  if (const auto stranger = callers_.extract(connection))
    turn_away(connection, stranger->caller.address, why);
  else if (Link* link = find(connection))
    refuse(*link, why);
}

void Links::hung_up(ConnectionId connection) {
  if (Link* link = find(connection)) link->gone = true;
}

void Links::ended(Time now, ConnectionId connection) {
  if (const auto stranger = callers_.extract(connection))
    actions_.log("potluck: a connection from " + stranger->caller.address + " ended without a " +
                 (stranger->meeting ? "proof" : "hello in potluck's protocol"));
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
  for (const auto& [connection, late] : callers_.extract_late(now))
    turn_away(connection, late.caller.address,
              "it proved nothing within " + seconds_text("%.0f s", kProofSeconds));
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

// Callers that are no peers yet.

void Links::meet(Time now, ConnectionId connection, Message message) {
  Stranger stranger = *callers_.extract(connection);
  try {
    if (stranger.meeting) {
      check_proof(identity_, stranger, message);
    } else {
      if (message.header.kind != MessageKind::hello)
        refuse_message("it begins with " + named(message.header.kind) + ", not a hello");
      stranger.hello = std::move(message);
      if (needs_proof(identity_, stranger.hello.header.source) && !stop_at_)
        return ask_for_proof(now, connection, stranger);
    }
    check_claim(now, stranger.hello, stranger.caller.key);
    welcome(now, connection, stranger);
  } catch (const Fault& fault) {
    turn_away(connection, stranger.caller.address, fault.what());
  }
}

// Until the proof is there, it holds nobody's place and is told nothing of the ring.
void Links::ask_for_proof(Time now, ConnectionId connection, Stranger& stranger) {
  begin_meeting(now, identity_, stranger);
  if (const auto surplus = callers_.extract_surplus())
    turn_away(surplus->first, surplus->second.caller.address, "others wait to prove who they are");
  actions_.send(connection, {nobodys_hello(identity_, stranger.meeting->listener_nonce), {}});
  callers_.add(connection, stranger);
}

std::string Links::objection(const Message& hello, const std::string& key) const {
  return stop_at_ ? "no calls are taken any more" : potluck::objection(identity_, hello, key);
}

// The first holder of a peer id keeps it. Whoever is turned away changes nothing, and is told
// nothing of the ring.
void Links::check_claim(Time now, const Message& hello, const std::string& key) {
  if (const std::string why = objection(hello, key); !why.empty()) refuse_message(why);
  const PeerId claimed = hello.header.source;
  Link* holder = live(claimed);
  if (!holder || holder->state != Link::State::up) return;
  if (holder->gone) return close(*holder, kClosedByPeer);
  if (claimed == kCoordinatorPeer)
    refuse_message("it has worked for another coordinator for " +
                   seconds_text("%.0f s", seconds(now - holder->up_at)) +
                   "; wait for that to end, or start another worker");
  refuse_message(claim_text(hello) + ", but there is a link with that peer already");
}

// When two peers dial each other at the same time, the call of the lower id stands, and both sides
// know it.
void Links::welcome(Time now, ConnectionId connection, Stranger& stranger) {
  Link* link = live(stranger.hello.header.source);
  if (link && identity_.self < link->end->peer) return actions_.hang_up(connection, 0);
  if (!link) link = &add_link(std::make_shared<LinkEnd>(stranger.hello.header.source));
  if (link->connection) actions_.hang_up(link->connection, 0);
  actions_.admit(connection);
  link->connection = connection;
  link->called = true;
  link->gone = false;
  link->key = stranger.caller.key;
  link->meeting = stranger.meeting;
  link->meeting ? say_proof(*link) : say_hello(*link);
  come_up(now, *link, std::move(stranger.hello));
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
  link.connection = actions_.dial(link.address);
  const PeerId peer = link.end->peer;
  link.meeting.reset();
  if (needs_proof(identity_, peer))
    link.meeting = Meeting{identity_.incarnation,
                           identity_.epoch,
                           identity_.self,
                           peer,
                           random_bytes(kNonceBytes),
                           ""};
  say_hello(link);
}

void Links::tick_dial(Time now, Link& link) {
  if (now <= link.give_up_at) return try_dial(now, link);
  const std::string waited = seconds_text("%.1f s", kDialSeconds);
  const std::string& endpoint = link.address.endpoint;
  if (link.connected && !link.address.key.empty())
    return close(link, "the worker at " + endpoint + " has another key than the plan names, does " +
                           "not lock its links, or is none; the plan has " + link.address.key +
                           ", compare it with what its machine shows");
  if (link.connected)
    return close(link, endpoint + " takes connections but said no hello within " + waited +
                           "; is it a potluck worker, and are its links not locked?");
  const std::string tries = std::to_string(link.tries) + " tries";
  if (!link.trouble.empty())
    return close(link, link.trouble + " (" + tries + " of " + endpoint + " within " + waited + ")");
  close(link, "connection refused or no answer at " + endpoint + " in " + tries + " within " +
                  waited + "; is the worker started there?");
}

// A listener that has to prove that it is the neighbour: nothing is said to it before.
void Links::meet_listener(Time now, Link& link, Message message) {
  Meeting& meeting = *link.meeting;
  const bool first = meeting.listener_nonce.empty();
  if (message.header.kind != (first ? MessageKind::hello : MessageKind::proof))
    refuse_message(named(message.header.kind) + " came out of turn; a proof follows the hello");
  if (!needs_proof(identity_, meeting.listener)) refuse_message("the ring that it is for is over");
  if (!first) {
    if (!is_proof(message.proof->mac, identity_.secret, meeting.listener, meeting))
      refuse_message("whoever listens there did not prove that it is in this ring");
    return come_up(now, link, std::move(link.hello));
  }
  if (message.hello->nonce.empty()) refuse_message("whoever listens there wants no proof");
  meeting.listener_nonce = message.hello->nonce;
  link.hello = std::move(message);
  say_proof(link);
}

// The messages of a link.

void Links::handle(Time now, Link& link, Message message) {
  const MessageKind kind = message.header.kind;
  link.heard_at = now;
  message.header.source = link.end->peer;
  if (kind == MessageKind::goodbye) return take_goodbye(link, message);
  if (link.state == Link::State::leaving) return;
  if (link.state == Link::State::dialing && link.meeting)
    return meet_listener(now, link, std::move(message));
  if ((kind == MessageKind::hello) != (link.state == Link::State::dialing) ||
      kind == MessageKind::proof)
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

// A dialer's names the ring that the link is for, unless that is to be proved; an answer has nobody
// to convince.
void Links::say_hello(Link& link) {
  Message message = message_from(identity_, MessageKind::hello, link.end->peer);
  message.hello = identity_.hello;
  if (link.called) stamp(message.header, RingId{});
  if (link.meeting) {
    message = nobodys_hello(identity_, link.meeting->dialer_nonce);
    message.header.source = identity_.self;
    message.header.destination = link.end->peer;
  }
  say(link, std::move(message));
}

void Links::say_proof(Link& link) {
  Message message = message_from(identity_, MessageKind::proof, link.end->peer);
  stamp(message.header, RingId{});
  message.proof = Proof{proof_of(identity_.secret, identity_.self, *link.meeting)};
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
  Identity from = identity_;
  if (link.state == Link::State::dialing && link.meeting) from = {.self = kUnassignedPeer};
  say(link, goodbye(from, link.end->peer, reason));
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
