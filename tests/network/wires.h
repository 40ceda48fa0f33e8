// Wires: when a packet that a host sends arrives at another, on a network whose links are as
// somebody says. It is arithmetic alone: the switch (switch.cc) asks it and moves the packets.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <vector>

namespace potluck {

// One direction between two hosts. A rate of 0 is no limit.
struct Wire {
  double mbit_per_s = 0;
  double latency_ms = 0;  // one way
  double jitter_ms = 0;   // up to so much more, evenly drawn; packets do not overtake each other
  double loss = 0;        // of so many packets in 1
  bool cut = false;       // nothing passes
};

struct Traffic {  // of one direction so far
  uint64_t packets = 0, bytes = 0, lost = 0;
};

class Wires final {
 public:
  // Every host's card has no limit at first, and every pair of hosts an ideal wire.
  Wires(int hosts, uint64_t seed);

  void set(int from, int to, const Wire& wire) { between(from, to).wire = wire; }
  const Wire& wire(int from, int to) const { return lanes_[index(from, to)].wire; }
  // The rate of a host's network card in each direction, which all its wires share.
  void set_card(int host, double mbit_per_s) { cards_[host].mbit_per_s = mbit_per_s; }

  // The second at which a packet arrives that is sent at second `now`; none if it is lost: cut off,
  // by chance, or because more than kQueueSeconds of sending waits before it.
  std::optional<double> arrival(double now, int from, int to, uint64_t bytes);
  const Traffic& traffic(int from, int to) const { return lanes_[index(from, to)].traffic; }

  static constexpr double kQueueSeconds =
      0.2;  // that a wire or a card stores, as a home router does
  static constexpr uint64_t kQueueBytes = 1 << 20;  // or this, where it is more

 private:
  struct Card {
    double mbit_per_s = 0;
    double out_free = 0, in_free = 0;  // seconds at which it has sent and taken all so far
  };
  struct Lane {
    Wire wire;
    double free = 0, last_arrival = 0;
    Traffic traffic;
  };
  int index(int from, int to) const { return from * static_cast<int>(cards_.size()) + to; }
  Lane& between(int from, int to) { return lanes_[index(from, to)]; }

  std::vector<Card> cards_;
  std::vector<Lane> lanes_;
  std::mt19937_64 random_;
};

}  // namespace potluck
