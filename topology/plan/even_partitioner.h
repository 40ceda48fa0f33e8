// EvenPartitioner: splits the layers over stages of equal machines.
#pragma once

#include <cstdint>
#include <vector>

#include "topology/plan/partitioner.h"

namespace potluck {

// Splits so that the largest stage's stored bytes are the least possible.
class EvenPartitioner final : public Partitioner {
 public:
  explicit EvenPartitioner(int stages) : stages_(stages) {}
  std::vector<int> layer_counts(const ModelSource& source) const override;

 private:
  int stages_;
};

// The sizes of `parts` consecutive groups of costs, each at least one, whose largest sum is least.
std::vector<int> split_evenly(const std::vector<uint64_t>& costs, int parts);

}  // namespace potluck
