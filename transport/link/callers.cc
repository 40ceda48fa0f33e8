// Callers have to be one of those who may call, to have the key of that peer, to be of this ring,
// and to prove it.
#include "transport/link/callers.h"

#include <algorithm>

namespace potluck {
namespace {

[[noreturn]] void refuse(const std::string& why) {
  throw Fault(FaultKind::refused, why);
}

bool has_key(const Identity& me, PeerId peer, const std::string& key) {
  const auto keys = me.keys.find(peer);
  return keys != me.keys.end() && std::count(keys->second.begin(), keys->second.end(), key) > 0;
}

RingId own_ring(const Identity& me) {
  return {me.incarnation, me.epoch};
}

}  // namespace

void CallerTable::add(Time now, ConnectionId connection, Caller caller) {
  strangers_[connection] = {std::move(caller), now, {}, {}};
}

std::optional<Stranger> CallerTable::extract(ConnectionId connection) {
  auto node = strangers_.extract(connection);
  if (!node) return std::nullopt;
  return std::move(node.mapped());
}

std::optional<CallerTable::Named> CallerTable::extract_surplus() {
  std::map<std::string, size_t> owing;  // by address
  size_t count = 0;
  for (const auto& [connection, stranger] : strangers_)
    if (stranger.meeting) ++owing[stranger.caller.address], ++count;
  if (count < kUnprovedMax) return std::nullopt;
  const std::string& most = std::max_element(owing.begin(), owing.end(), [](auto& a, auto& b) {
                              return a.second < b.second;
                            })->first;
  auto oldest = strangers_.end();
  for (auto each = strangers_.begin(); each != strangers_.end(); ++each)
    if (each->second.meeting && each->second.caller.address == most &&
        (oldest == strangers_.end() || each->second.since < oldest->second.since))
      oldest = each;
  Named surplus = *oldest;
  strangers_.erase(oldest);
  return surplus;
}

std::vector<CallerTable::Named> CallerTable::extract_late(Time now) {
  std::vector<Named> late;
  std::erase_if(strangers_, [&](const auto& each) {
    const bool is_late =
        each.second.meeting && now - each.second.since > from_seconds(kProofSeconds);
    if (is_late) late.push_back(each);
    return is_late;
  });
  return late;
}

bool needs_proof(const Identity& me, PeerId peer) {
  return !me.secret.empty() && peer != kCoordinatorPeer;
}

std::string claim_text(const Message& hello) {
  const std::string& name = hello.hello->name;
  return (name.empty() ? "it" : name) + " says it is peer " + std::to_string(hello.header.source);
}

std::string objection(const Identity& me, const Message& hello, const std::string& key) {
  const PeerId claimed = hello.header.source;
  const std::string who = claim_text(hello);
  if (claimed == me.self) return who + ", and calls itself";
  if (me.callers && std::count(me.callers->begin(), me.callers->end(), claimed) == 0)
    return who + ", from which no call is taken";
  if (!key.empty() && !has_key(me, claimed, key)) return who + ", which has another key";
  if (me.callers && claimed != kCoordinatorPeer && ring_of(hello.header) != own_ring(me))
    return who + ", but of another ring";
  return "";
}

// The hello names no ring: the proof will say whether it is of this one.
void begin_meeting(Time now, const Identity& me, Stranger& stranger) {
  Message& hello = stranger.hello;
  stamp(hello.header, own_ring(me));
  if (const std::string why = objection(me, hello, stranger.caller.key); !why.empty()) refuse(why);
  if (hello.hello->nonce.empty()) refuse(claim_text(hello) + ", and its hello has no nonce");
  stranger.since = now;
  stranger.meeting = Meeting{me.incarnation, me.epoch,           hello.header.source,
                             me.self,        hello.hello->nonce, random_bytes(kNonceBytes)};
}

void check_proof(const Identity& me, const Stranger& stranger, const Message& message) {
  const PeerId claimed = stranger.hello.header.source;
  if (message.header.kind != MessageKind::proof)
    refuse(std::string("a ") + message_kind_name(message.header.kind) +
           " came in place of a proof");
  if (!needs_proof(me, claimed) ||
      !is_proof(message.proof->mac, me.secret, claimed, *stranger.meeting))
    refuse(claim_text(stranger.hello) + ", and did not prove it");
}

Message nobodys_hello(const Identity& me, const std::string& nonce) {
  Identity nobody;
  nobody.self = kUnassignedPeer;
  Message hello = message_from(nobody, MessageKind::hello, kUnassignedPeer);
  hello.hello = Hello{me.hello.software, "", nonce};
  return hello;
}

}  // namespace potluck
