// The loop that drives every machine of a simulation, a millisecond at a time.
#include "tests/sim/simulation.h"

#include <algorithm>

#include "topology/base/check.h"

namespace potluck {

void Simulation::add(const std::string& endpoint, Boot boot, std::function<Identity()> identity) {
  machines_.push_back({endpoint, std::move(boot), std::move(identity), nullptr, nullptr});
  start(machines_.back());
}

void Simulation::start(Machine& machine) {
  machine.machine = &machine.boot();
  machine.transport = network_.transport();
  machine.transport->set_identity(machine.identity());
  machine.transport->listen(machine.endpoint);
  machine.running = true;
  machine.next_tick = network_.now();
}

Simulation::Machine& Simulation::find(const std::string& endpoint) {
  const auto found = std::find_if(machines_.begin(), machines_.end(),
                                  [&](const Machine& m) { return m.endpoint == endpoint; });
  CHECK(found != machines_.end(), endpoint);
  return *found;
}

void Simulation::give(const std::string& endpoint, Outbox outbox) {
  Machine& machine = find(endpoint);
  machine.running = take(machine, std::move(outbox));
}

void Simulation::at(double seconds, std::function<void()> happens) {
  happenings_.push_back({Time{} + from_seconds(seconds), std::move(happens)});
}

void Simulation::kill(const std::string& endpoint) {
  network_.crash(endpoint);
  Machine& machine = find(endpoint);
  machine.running = false;
  machine.transport.reset();
}

void Simulation::restart(const std::string& endpoint) {
  kill(endpoint);
  start(find(endpoint));
}

void Simulation::freeze(const std::string& endpoint) {
  network_.freeze(endpoint);
  find(endpoint).running = false;
}

void Simulation::cut(const std::string& one, const std::string& other, double seconds) {
  network_.cut(one, other, network_.now() + from_seconds(seconds));
}

// False: the machine has finished. A message that cannot be sent is a lost link, as in run_once().
bool Simulation::take(Machine& machine, Outbox outbox) {
  const bool finished = outbox.finished;
  for (Event& lost : apply(std::move(outbox), *machine.transport))
    if (!take(machine, machine.machine->handle(network_.now(), std::move(lost)))) return false;
  return !finished;
}

void Simulation::turn(Machine& machine) {
  while (machine.running) {
    std::optional<Event> event = machine.transport->wait(Time{});
    if (!event) break;
    machine.running = take(machine, machine.machine->handle(network_.now(), *std::move(event)));
  }
  if (!machine.running) return;
  if (!machine.machine->idle_work() && network_.now() < machine.next_tick) return;
  machine.next_tick = network_.now() + from_seconds(kTickSeconds);
  machine.running = take(machine, machine.machine->tick(network_.now()));
}

bool Simulation::run(const std::function<bool()>& done, double limit_seconds) {
  const Time limit = Time{} + from_seconds(limit_seconds);
  while (!done()) {
    if (network_.now() >= limit) return false;
    for (auto& [when, happens] : happenings_)
      if (happens && when <= network_.now()) std::exchange(happens, nullptr)();
    network_.step();
    for (Machine& machine : machines_) turn(machine);
  }
  return true;
}

}  // namespace potluck
