#include "transport/state_machine.h"

namespace potluck {

void apply(Outbox outbox, Transport& transport) {
  if (outbox.identity) transport.set_identity(std::move(*outbox.identity));
  for (const auto& [peer, endpoint] : outbox.connects) transport.connect(peer, endpoint);
  for (Message& message : outbox.messages) transport.send(std::move(message));
  for (PeerId peer : outbox.drops) transport.drop(peer);
}

bool run_once(StateMachine& machine, Transport& transport) {
  const Time deadline = machine.idle_work() ? now() : now() + from_seconds(kTickSeconds);
  Outbox out;
  if (std::optional<Event> event = transport.wait(deadline))
    out = machine.handle(now(), std::move(*event));
  else
    out = machine.tick(now());
  const bool finished = out.finished;
  apply(std::move(out), transport);
  return !finished;
}

void run_loop(StateMachine& machine, Transport& transport) {
  while (run_once(machine, transport)) {
  }
}

}  // namespace potluck
