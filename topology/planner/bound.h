// Bound: what the rest of a ring takes at least, whichever devices it goes on with.
//
// Layers become work: a layer's weight is its mean share of a device's time, and a device takes at
// least unit_ms for a unit of it and holds at most `room`. The rest is filled fractionally, the
// cheapest device first, in two ways of which the greater counts:
// - a device's message and its cheapest way in are spread over the most work that it could take,
//   and a host's cheapest way in from another host over the most that the host could take;
// - as many devices as the work needs at least each pay their message and way in, beside the work.
// Where the work does not fit on the head's host, or the ring is elsewhere, it has to come back by
// a way in from another host; so that host's devices pay for none.
//
// Where ways out of hosts take no less than ways in, one host counts twice: up to it each host pays
// its way in, and from it on its way out. The dearest one is chosen among the host where the ring
// is, the head's, and those without which the work does not fit.
#pragma once

#include <vector>

#include "topology/planner/cuts.h"

namespace potluck {

// Each layer's share of all layers' time, the mean over devices; together 1.
std::vector<double> layer_work(const PlanProblem& problem);
// The least ms that a device takes for a unit of such work.
double unit_ms(const PlanDevice& device, const std::vector<double>& work);

class Bound {
 public:
  // Both must outlive this. The head has its device.
  Bound(const Cuts& cuts, int head);

  // rest[j], for j < layers: the least ms for layers [j, …), by devices that are not used, and the
  // way back to the head, after a range that ended on `host`. never: there is no way.
  void rest(const std::vector<char>& used, int host, std::vector<double>& rest) const;

 private:
  // Devices in some order, and the ms of each for a unit of work.
  struct List {
    const std::vector<int>& devices;
    const std::vector<double>& cost;
  };
  bool has_rows(int host) const { return !on_host_[host].empty() || host == head_host_; }
  void find_ways_in();
  void level_ways();
  void weigh_layers();
  void sort_devices();
  double way_in(int device) const;
  // ms[j]: the work of layers [j, …), the cheapest device of two lists first; the second is
  // without devices of host `without`.
  void fill(const std::vector<char>& used, const List& here, const List& there, int without,
            std::vector<double>& ms) const;
  void add_dearest(const std::vector<char>& used, int host, std::vector<double>& rest) const;
  void add_fixed(const std::vector<char>& used, std::vector<double>& ms) const;

  const Cuts& cuts_;
  const PlanProblem& problem_;
  int head_, head_host_;
  std::vector<double> work_after_;     // [j]: of layers [j, …)
  std::vector<double> into_, out_of_;  // [host]: the cheapest way in from another, and out
  bool out_takes_no_less_ = true;
  std::vector<double> unit_ms_, room_;  // [device]
  std::vector<double> fixed_ms_;        // [device]: its message and cheapest way in
  std::vector<double> spread_,
      spread_far_;                       // [device]: unit_ms and fixed_ms; and its host's way in
  mutable std::vector<double> counted_;  // rest()'s own
  std::vector<int> by_unit_, by_room_, by_fixed_, by_far_, by_way_in_;
  std::vector<std::vector<int>> on_host_;  // by spread_
};

}  // namespace potluck
