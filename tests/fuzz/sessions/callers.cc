// A caller mostly does what comes next on such a connection, so that it gets far, and otherwise
// anything.
#include "tests/fuzz/sessions/callers.h"

#include <algorithm>

#include "tests/fuzz/sessions/party.h"
#include "topology/base/check.h"

namespace potluck {
namespace {

constexpr size_t kCallersMax = 12;
constexpr uint64_t kFloods[] = {2, 10, 100, 1100};
constexpr PeerId kRoles[] = {kCoordinatorPeer, kHeadPeer,     stage_peer(0), kCoordinatorPeer,
                             stage_peer(1),    stage_peer(2), 200,           kUnassignedPeer};

}  // namespace

Callers::Callers(Wires& wires, Words& words) : wires_(wires), words_(words) {
  scene_.ring = {0xE71, 0};
  wires_.listen(*this, kEvilEndpoint);
}

void Callers::dial(Draws& draws, const std::string& endpoint) {
  if (callers_.size() >= kCallersMax) return;
  callers_.push_back({wires_.dial(*this, endpoint), draws.one_of(kRoles)});
}

void Callers::say(Draws& draws, const Caller& caller, const Message& message, uint64_t times) {
  const ConnectionId id = caller.id;
  for (const Frames& frames : words_.frames(draws, message))
    for (uint64_t i = 0; i < times; ++i) wires_.send(id, frames);
}

Message Callers::hello(Draws& draws, Caller& caller) {
  caller.said_hello = true;
  Message m = words_.fitting(draws, MessageKind::hello, scene_);
  m.header.source = caller.as;
  return m;
}

// Such a peer says this in its turn.
MessageKind Callers::next_kind(Draws& draws, const Caller& caller) const {
  using Kind = MessageKind;
  if (caller.as != kCoordinatorPeer)
    return draws.one_of({Kind::open, Kind::encode, Kind::denoise, Kind::denoise, Kind::encode,
                         Kind::truncate, Kind::close, Kind::heartbeat});
  if (scene_.ring.epoch == 0) return Kind::load;
  return draws.one_of({Kind::open, Kind::encode, Kind::denoise, Kind::encode, Kind::denoise,
                       Kind::truncate, Kind::close, Kind::cancel, Kind::join, Kind::load,
                       Kind::heartbeat, Kind::shutdown});
}

void Callers::act(Draws& draws) {
  if (callers_.empty()) return;
  Caller& caller = callers_[draws.below(callers_.size())];
  const uint64_t what = draws.below(16);
  if (what == 15) return wires_.hang_up(caller.id), remove(caller.id);
  if (what == 14) return say(draws, caller, words_.any(draws, scene_), draws.one_of(kFloods));
  if (what >= 12) return say(draws, caller, words_.any(draws, scene_));
  scene_.with_ids = caller.as == kCoordinatorPeer;
  Message m = caller.said_hello ? words_.fitting(draws, next_kind(draws, caller), scene_)
                                : hello(draws, caller);
  if (what >= 9) words_.damage(draws, m);
  say(draws, caller, m);
}

void Callers::hang_up() {
  for (const Caller& each : callers_) wires_.hang_up(each.id);
  callers_.clear();
}

void Callers::remove(ConnectionId id) {
  std::erase_if(callers_, [&](const Caller& each) { return each.id == id; });
}

// A worker that has been told that its next is here.
void Callers::called(ConnectionId id, potluck::Caller) {
  callers_.push_back({id, stage_peer(0)});
}

void Callers::arrived(ConnectionId, const void* header, size_t header_bytes, Payload payload) {
  if (!nothing_) return;
  const Message m = read_frames(header, header_bytes, payload);
  CHECK(m.header.kind == MessageKind::goodbye, message_kind_name(m.header.kind));
  CHECK(ring_of(m.header) == RingId{} && m.header.source == kUnassignedPeer);
  check_line(m.fault->what);
}

}  // namespace potluck
