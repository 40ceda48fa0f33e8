// A network in made-up time: real links (transport/link) over wires that deliver in order after
// random delays from one seed. Wires can be cut for a while, and a party can crash or freeze.
//
// Time passes in step() alone. A transport's wait() makes it pass until its deadline; a loop that
// runs many parties asks each with a deadline that is over, and steps itself.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "transport/link/links.h"
#include "transport/transport.h"

namespace potluck {

struct Habits {
  double delay_seconds_max = 0.02;
  double twice = 0;  // the chance that a message is handed out again, a little later
};

class SimulatedNetwork final {
 public:
  explicit SimulatedNetwork(uint64_t seed, Habits habits = {}) : habits_(habits), random_(seed) {}

  // Transports must not outlive the network, and are used from one thread. Endpoints are
  // "sim://NAME".
  std::unique_ptr<Transport> transport();

  Time now() const { return now_; }
  void step();  // a millisecond

  // Until `until` nothing passes between the two that listen at these endpoints.
  void cut(const std::string& one, const std::string& other, Time until);
  void freeze(const std::string& endpoint);  // neither hears nor speaks any more
  void crash(const std::string& endpoint);   // its connections end, without a goodbye

  // For the parties of this network.
  struct Party {
    Links* links;
    std::string endpoint;
    bool frozen = false;
    Time next_tick{};
  };
  using Report = std::function<void(Links& links)>;
  Party& add(Links& links);
  void remove(const Links& links);
  void listen(Links& links, const std::string& endpoint);
  ConnectionId dial(Links& from, const std::string& endpoint);
  void post(ConnectionId from, Report report);  // to the other side of the connection
  void hang_up(ConnectionId connection);
  ConnectionId beyond(ConnectionId connection) const;
  bool draw(double chance) { return std::bernoulli_distribution(chance)(random_); }
  const Habits& habits() const { return habits_; }

 private:
  struct Side {
    Links* links;
    ConnectionId other;
    Time last;  // when the last report to this side arrives
  };
  struct Delivery {
    Time when;
    uint64_t order;
    ConnectionId to;
    Report report;
    bool operator>(const Delivery& other) const {
      return std::tie(when, order) > std::tie(other.when, other.order);
    }
  };
  struct Cut {
    std::string one, other;
    Time until;
  };

  void deliver(ConnectionId to, Report report);
  Time cut_until(const Side& side) const;
  Party* find(const Links* links);
  Party* find(const std::string& endpoint);

  const Habits habits_;
  std::mt19937_64 random_;
  Time now_{};
  uint64_t order_ = 0;
  ConnectionId last_id_ = 0;
  std::vector<std::unique_ptr<Party>> parties_;
  std::map<ConnectionId, Side> sides_;
  std::priority_queue<Delivery, std::vector<Delivery>, std::greater<>> deliveries_;
  std::vector<Cut> cuts_;
};

}  // namespace potluck
