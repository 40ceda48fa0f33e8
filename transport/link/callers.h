// Callers are those who have dialed a listener here and are no peers yet: their hello is awaited,
// and where they say that they are a neighbour in a ring, the proof of it. Here is what they have
// to bring; links.h acts on it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "topology/base/clock.h"
#include "transport/message.h"
#include "transport/proof/ring_proof.h"

namespace potluck {

// A pipe names each of its connections by a number, which it never uses twice; 0 is none.
using ConnectionId = uint64_t;

inline constexpr double kProofSeconds = 5.0;  // for a caller's proof, after its hello
inline constexpr size_t kUnprovedMax = 64;    // callers at a time of which a proof is awaited

// Stands for every key where somebody else than the gate asks who a caller is.
inline constexpr char kAnyKey[] = "any";

struct Caller {
  std::string address;
  std::string key;  // that the link is locked with; empty: it is not
};

struct Stranger {
  Caller caller;
  Time since{};  // when it called, or said hello
  Message hello;
  std::optional<Meeting> meeting;  // a proof is awaited
};

class CallerTable final {
 public:
  using Named = std::pair<ConnectionId, Stranger>;

  void add(Time now, ConnectionId connection, Caller caller);
  void add(ConnectionId connection, const Stranger& stranger) { strangers_[connection] = stranger; }
  bool has(ConnectionId connection) const { return strangers_.count(connection) > 0; }
  std::optional<Stranger> extract(ConnectionId connection);
  // Where kUnprovedMax owe a proof: takes out the oldest from the address that most come from. An
  // honest one is soon done.
  std::optional<Named> extract_surplus();
  // Takes out those that have owed a proof for kProofSeconds.
  std::vector<Named> extract_late(Time now);

 private:
  std::map<ConnectionId, Stranger> strangers_;
};

// Whether `me` and this peer prove to each other that they are in one ring.
bool needs_proof(const Identity& me, PeerId peer);
// "old-laptop says it is peer 3"
std::string claim_text(const Message& hello);
// Why `me` does not take a call by this hello, with the key of a locked link; empty if it does.
std::string objection(const Identity& me, const Message& hello, const std::string& key);
// Sets what has to be proved. Throws Fault{refused} with the reason if the hello is refused at
// once.
void begin_meeting(Time now, const Identity& me, Stranger& stranger);
// Throws Fault{refused} with the reason unless the message is the proof of that meeting.
void check_proof(const Identity& me, const Stranger& stranger, const Message& message);
// A hello that tells nothing but whose software it is, and wants a proof.
Message nobodys_hello(const Identity& me, const std::string& nonce);

}  // namespace potluck
