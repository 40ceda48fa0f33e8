// Dials another host at each of its addresses, says what came of each, and measures the link to the
// first of them that leads there.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cluster/ring/key_file.h"

namespace potluck {

struct Reach {
  std::vector<std::string> addresses;  // as an endpoint has them, the best first
  int port = 0;
  std::string key;             // the public key of who should be there; empty: no lock
  uint64_t message_bytes = 0;  // of a canvas
};

enum class Outcome {
  reached,   // somebody listens there
  refused,   // an answer says that nobody does, or that a firewall forbids it
  silent,    // no answer comes
  unrouted,  // packets do not leave the machine, or the next one sends them back
  own,       // the address is one of the caller's own machine
  stranger   // somebody listens there who is not the one that was meant
};
const char* outcome_name(Outcome outcome);

struct Tried {
  std::string address;
  Outcome outcome = Outcome::silent;
  std::string why;   // in words
  std::string from;  // the caller's address that packets leave by; empty: none
};

struct Reached {
  std::vector<Tried> tried;
  std::string address;    // the one that was measured; empty: none leads there
  double latency_ms = 0;  // one way, of an empty message
  double mbit_per_s = 0;  // of messages of a canvas, one at a time with a rest between them
  double message_ms = 0;  // one way, of such a message
  std::string gave_way;   // why the link broke under such messages; empty: it did not
};

// Waits a few seconds at most for each address that does not answer.
Reached reach(const Reach& request, const KeyFile& keys);

nlohmann::ordered_json reach_json(const Reach& request);
Reach reach_of(const nlohmann::ordered_json& json);
nlohmann::ordered_json reached_json(const Reached& reached);
Reached reached_of(const nlohmann::ordered_json& json);

}  // namespace potluck
