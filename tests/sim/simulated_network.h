// A whole cluster in one process from one seed: state machines, virtual time, links that deliver in
// order after random delays, and machines that can be killed or frozen at a chosen moment.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <queue>
#include <random>
#include <string>
#include <vector>

#include "transport/state_machine.h"

namespace potluck {

class SimulatedNetwork final {
 public:
  explicit SimulatedNetwork(uint64_t seed) : random_(seed) {}

  // endpoint: where others reach it; the machine must outlive the network.
  int add(StateMachine& machine, const std::string& endpoint, Identity identity);
  void give(int machine, Outbox outbox);  // e.g. of Pipeline::start
  void kill_at(int machine, double seconds) { faults_.push_back({machine, at(seconds), true}); }
  void freeze_at(int machine, double seconds) { faults_.push_back({machine, at(seconds), false}); }

  // Runs until machine `first` has finished, or virtual time passes `seconds`. True: finished.
  bool run(int first, double seconds);
  Time now() const { return now_; }
  uint64_t delivered() const { return delivered_; }

 private:
  struct Machine {
    StateMachine* machine;
    std::string endpoint;
    Identity identity;
    bool alive = true, frozen = false, finished = false;
    Time next_tick{};
    std::map<PeerId, int> links;  // peer id → machine
  };
  struct Delivery {
    Time when;
    uint64_t order;
    int from, to;
    Event event;
    bool operator>(const Delivery& other) const {
      return std::tie(when, order) > std::tie(other.when, other.order);
    }
  };
  struct FaultAt {
    int machine;
    Time when;
    bool kill;
  };

  Time at(double seconds) const { return Time{} + from_seconds(seconds); }
  void post(int from, int to, Event event, double delay_seconds = 0);
  void connect(int from, PeerId peer, const std::string& endpoint);
  void deliver(Delivery delivery);
  void strike();
  void tick(int index);
  Event up(int other, PeerId as) const;

  std::mt19937_64 random_;
  Time now_{};
  uint64_t order_ = 0, delivered_ = 0;
  std::vector<Machine> machines_;
  std::map<std::pair<int, int>, Time> last_on_link_;
  std::priority_queue<Delivery, std::vector<Delivery>, std::greater<>> queue_;
  std::vector<FaultAt> faults_;
};

}  // namespace potluck
