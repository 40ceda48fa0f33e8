// The loop between a state machine and its transport. Whatever peers do, it goes on until the
// machine has finished: a message that cannot be sent is a lost link, not an exception.
#include "transport/state_machine.h"

#include <deque>
#include <set>

namespace potluck {
namespace {

std::optional<Event> send(Message message, Transport& transport) {
  const PeerId to = message.header.destination;
  try {
    transport.send(std::move(message));
    return std::nullopt;
  } catch (const Fault& fault) {
    transport.drop(to);
    Event down;
    down.kind = Event::Kind::down;
    down.peer = to;
    down.reason = fault.what();
    return down;
  }
}

}  // namespace

std::vector<Event> apply(Outbox outbox, Transport& transport) {
  std::vector<Event> lost;
  for (PeerId peer : outbox.drops) transport.drop(peer);
  if (outbox.identity) transport.set_identity(std::move(*outbox.identity));
  for (const auto& [peer, address] : outbox.connects) transport.connect(peer, address);
  for (Message& message : outbox.messages)
    if (std::optional<Event> down = send(std::move(message), transport))
      lost.push_back(std::move(*down));
  return lost;
}

bool run_once(StateMachine& machine, Transport& transport, Time deadline) {
  std::optional<Event> event = transport.wait(machine.idle_work() ? now() : deadline);
  Outbox out = event ? machine.handle(now(), std::move(*event)) : machine.tick(now());
  // A machine that answers a loss with a message to the lost is not told of it twice.
  std::set<PeerId> told;
  std::deque<Event> lost;
  for (;;) {
    const bool finished = out.finished;
    for (Event& down : apply(std::move(out), transport))
      if (told.insert(down.peer).second) lost.push_back(std::move(down));
    if (finished || lost.empty()) return !finished;
    out = machine.handle(now(), std::move(lost.front()));
    lost.pop_front();
  }
}

bool run_once(StateMachine& machine, Transport& transport) {
  return run_once(machine, transport, now() + from_seconds(kTickSeconds));
}

void run_loop(StateMachine& machine, Transport& transport) {
  while (run_once(machine, transport)) {
  }
}

}  // namespace potluck
