// Sentences that say what keeps a placement from being faster.
#pragma once

#include <string>
#include <vector>

#include "topology/planner/placement.h"

namespace potluck {

// One worker of a ring, and the way of the rows to it.
struct RingRow {
  std::string device;
  std::string part;     // "head", "layers 0:14"
  double wire_ms = 0;   // until the rows are there
  double work_ms = 0;   // 0: the last row, back to the head
  bool narrow = false;  // the rows come in as int8
  double most_ms() const { return wire_ms > work_ms ? wire_ms : work_ms; }
};

// The head, the stages in ring order, and the way back to the head.
std::vector<RingRow> ring_rows(const PlanProblem& problem, const Placement& plan);
// The row that takes longest, by its wire or its work.
size_t slowest_row(const std::vector<RingRow>& rows);

double mean_layer_ms(const PlanDevice& device);

std::vector<std::string> limits(const PlanProblem& problem, const Placement& plan);

}  // namespace potluck
