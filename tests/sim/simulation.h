// A whole cluster in one process from one seed: state machines that run in made-up time over a
// simulated network, and that can be killed, frozen, started again, or cut off from each other.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/sim/simulated_network.h"
#include "transport/state_machine.h"

namespace potluck {

class Simulation final {
 public:
  // Makes a machine, as its process does when it starts. The machine outlives the simulation, or
  // the next call.
  using Boot = std::function<StateMachine&()>;

  explicit Simulation(uint64_t seed, Habits habits = {}) : network_(seed, habits) {}

  // identity: what the machine says of itself before it has an outbox.
  void add(const std::string& endpoint, Boot boot, std::function<Identity()> identity);
  void give(const std::string& endpoint, Outbox outbox);  // e.g. of Pipeline::start

  // Lets something happen at a moment: one of the following calls, say.
  void at(double seconds, std::function<void()> happens);
  void kill(const std::string& endpoint);
  void restart(const std::string& endpoint);
  void freeze(const std::string& endpoint);
  void cut(const std::string& one, const std::string& other, double seconds);

  Time now() const { return network_.now(); }
  // Until `done`, or until so much time has passed in all. True: done.
  bool run(const std::function<bool()>& done, double limit_seconds);

 private:
  struct Machine {
    std::string endpoint;
    Boot boot;
    std::function<Identity()> identity;
    StateMachine* machine = nullptr;
    std::unique_ptr<Transport> transport;
    bool running = true;
    Time next_tick{};
  };

  Machine& find(const std::string& endpoint);
  void start(Machine& machine);
  void turn(Machine& machine);
  bool take(Machine& machine, Outbox outbox);

  SimulatedNetwork network_;
  std::vector<Machine> machines_;
  std::vector<std::pair<Time, std::function<void()>>> happenings_;
};

}  // namespace potluck
