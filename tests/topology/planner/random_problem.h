// Small made-up clusters from a seed, and families of large ones, as planners' problems.
#pragma once

#include <cstdint>

#include "topology/planner/problem.h"

namespace potluck {

// At most 6 devices on hosts of one to three, 2 to 9 unlike layers, tight memory, links that differ
// by direction; at times a device that may not be the head or hold layers, like devices, and a
// pinned head.
PlanProblem random_small_problem(uint64_t seed);

struct Family {
  bool wan = false;  // 2 to 40 MB/s and 5 to 60 ms a host; else 1, 2.5 and 10 Gbit/s
  int hosts = 32;
  double room = 1;  // 1: a device holds 4 to 26 of 30 layers; 0.35: 1 to 9
  uint64_t seed = 1;
};

// 30 layers, five of them full, of the released model's sizes and times.
PlanProblem family_problem(const Family& family);

}  // namespace potluck
