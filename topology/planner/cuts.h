// Cuts: the best places to cut the layers for devices in a given order, by dynamic programming over
// where each device's range ends. A range has to fit its device's memory, and where a longest
// period is given its device's time.
#pragma once

#include <limits>
#include <optional>
#include <span>
#include <vector>

#include "topology/planner/placement.h"
#include "topology/planner/problem.h"

namespace potluck {

inline constexpr double kNever = std::numeric_limits<double>::infinity();
// Sums of the same times in another order differ by less than this.
inline constexpr double kSameMs = 1e-9;

struct Order {  // of a ring; each device appears once, the head's at most once more
  int head = 0;
  std::vector<int> devices;
  bool operator==(const Order&) const = default;
};

Order order_of(const Placement& placement);

class Cuts {
 public:
  // The problem must outlive this.
  explicit Cuts(const PlanProblem& problem, double period_max = kNever);

  const PlanProblem& problem() const { return problem_; }
  double period_max() const { return period_max_; }
  int layers() const { return layers_; }
  // A canvas's way from one device to another; never if it takes longer than the longest period.
  double hop_ms(int from, int to) const;
  // The head's part and the coordinator's messages; never if the device may not be the head or has
  // no room or time for it.
  double head_ms(int head) const;
  // The least first layer of a range that ends before `end` on this device; `end` if none fits.
  int first(int head, int device, int end) const;
  double range_ms(int device, LayerRange layers) const;  // of a stage, its message included

  // from[j]: the least ms in which layers [0, j) are done where the device's rows come from.
  // to[e]: with a range [j, e) of at least one layer on the device, for which rows come in by
  // entry_ms. Both have layers() + 1 values.
  void extend(int head, int device, double entry_ms, std::span<const double> from,
              std::span<double> to) const;

  double least_step_ms(const Order& order) const;  // never: no cuts fit
  std::optional<Placement> least_step(const Order& order) const;
  double least_period_ms(const Order& order) const;  // whatever the longest period is

 private:
  using Firsts = std::vector<std::vector<int>>;  // [device][end]
  Firsts find_firsts(bool beside_head) const;
  bool fits(int device, LayerRange layers, bool beside_head) const;
  double lines_ms(const Order& order) const;  // the busiest host's line

  const PlanProblem& problem_;
  double period_max_;
  int layers_;
  std::vector<std::vector<double>> ms_before_;       // [device][layer]
  std::vector<std::vector<uint64_t>> bytes_before_;  // [device][layer]
  Firsts first_, first_beside_head_;
};

}  // namespace potluck
