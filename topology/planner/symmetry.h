// Symmetry: which devices and hosts are alike, so that a search needs to try one of them only.
#pragma once

#include <vector>

#include "topology/planner/problem.h"

namespace potluck {

// With the head on a given device. Alike devices of one host, and alike hosts, are taken in the
// order of their index: any other sequence has a twin of the same times among these.
class Symmetry {
 public:
  Symmetry(const PlanProblem& problem, int head);

  // Whether a sequence may go on with this device. used[device], and used_on[host]: how many.
  bool may_follow(int device, const std::vector<char>& used, const std::vector<int>& used_on) const;

 private:
  const PlanProblem& problem_;
  std::vector<int> device_before_;  // the one alike that has to be used before; -1: none
  std::vector<int> host_before_;
};

// Devices that may be the head, without those that an earlier one stands for.
std::vector<int> unlike_heads(const PlanProblem& problem);

}  // namespace potluck
