// A packet passes three queues one after another: its sender's card, the wire, the receiver's card.
#include "tests/network/wires.h"

#include <algorithm>

namespace potluck {
namespace {

// Puts a packet behind what waits at a queue of this rate, and moves `at` to when it has passed.
// False if the queue is full.
bool pass(double mbit_per_s, uint64_t bytes, double& free, double& at) {
  if (mbit_per_s == 0) return true;
  const double bytes_per_s = mbit_per_s * 1e6 / 8;
  const double most = std::max(Wires::kQueueSeconds, Wires::kQueueBytes / bytes_per_s);
  const double start = std::max(at, free);
  if (start - at > most) return false;
  at = free = start + bytes / bytes_per_s;
  return true;
}

}  // namespace

Wires::Wires(int hosts, uint64_t seed) : cards_(hosts), lanes_(hosts * hosts), random_(seed) {}

std::optional<double> Wires::arrival(double now, int from, int to, uint64_t bytes) {
  Lane& lane = between(from, to);
  const Wire& wire = lane.wire;
  std::uniform_real_distribution<double> unit(0, 1);
  double at = now;
  const bool passes = !wire.cut && !(wire.loss > 0 && unit(random_) < wire.loss) &&
                      pass(cards_[from].mbit_per_s, bytes, cards_[from].out_free, at) &&
                      pass(wire.mbit_per_s, bytes, lane.free, at) &&
                      pass(cards_[to].mbit_per_s, bytes, cards_[to].in_free, at);
  if (!passes) {
    ++lane.traffic.lost;
    return {};
  }
  at += (wire.latency_ms + (wire.jitter_ms > 0 ? wire.jitter_ms * unit(random_) : 0)) / 1e3;
  ++lane.traffic.packets;
  lane.traffic.bytes += bytes;
  return lane.last_arrival = std::max(at, lane.last_arrival);
}

}  // namespace potluck
