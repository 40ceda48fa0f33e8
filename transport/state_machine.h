// A state machine (Worker, Pipeline) answers each event with an outbox; the loop here waits for the
// events and sends what is in the outbox.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "transport/transport.h"

namespace potluck {

struct Outbox {
  std::vector<PeerId> drops;
  std::optional<Identity> identity;  // of links made from now on
  std::vector<std::pair<PeerId, Address>> connects;
  std::vector<Message> messages;  // header.destination routes
  bool finished = false;          // leave the loop
};

class StateMachine {
 public:
  virtual ~StateMachine() = default;
  virtual Outbox handle(Time now, Event event) = 0;
  virtual Outbox tick(Time now) = 0;  // called at least every kTickSeconds
  virtual bool idle_work() = 0;       // true: call tick again at once when no event is waiting
};

inline constexpr double kTickSeconds = 0.05;

// Applies an outbox in order: drops, identity, connects, messages; so a peer may be dropped and
// connected anew in one. A link on which a message cannot be sent is dropped; the `down` of each
// comes back, for the machine to handle.
std::vector<Event> apply(Outbox outbox, Transport& transport);
// Waits for one event or tick, until `deadline` at most, and handles it; false when the machine has
// finished.
bool run_once(StateMachine& machine, Transport& transport, Time deadline);
bool run_once(StateMachine& machine, Transport& transport);  // kTickSeconds at most
// run_once until finished.
void run_loop(StateMachine& machine, Transport& transport);

}  // namespace potluck
