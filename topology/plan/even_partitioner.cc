// Finds the even split by dynamic programming over the places of the last cut.
#include "topology/plan/even_partitioner.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "topology/base/fault.h"
#include "topology/plan/cost_model.h"

namespace potluck {

std::vector<int> EvenPartitioner::layer_counts(const ModelSource& source) const {
  const int layers = source.spec().layer_count();
  if (stages_ < 1 || stages_ > layers)
    throw Fault(FaultKind::input,
                "a model of " + std::to_string(layers) + " layers cannot be cut into " +
                    std::to_string(stages_) + " stages",
                Fix{"there must be 1 to " + std::to_string(layers), Setting::stages});
  return split_evenly(layer_bytes(source), stages_);
}

std::vector<int> split_evenly(const std::vector<uint64_t>& costs, int parts) {
  const int n = costs.size();
  std::vector<uint64_t> sum(costs.size() + 1, 0);
  std::partial_sum(costs.begin(), costs.end(), sum.begin() + 1);
  constexpr uint64_t kNever = std::numeric_limits<uint64_t>::max();
  std::vector<std::vector<uint64_t>> best(parts + 1, std::vector<uint64_t>(n + 1, kNever));
  std::vector<std::vector<int>> cut(parts + 1, std::vector<int>(n + 1, 0));
  best[0][0] = 0;
  for (int p = 1; p <= parts; ++p)
    for (int end = p; end <= n; ++end)
      for (int begin = p - 1; begin < end; ++begin) {
        if (best[p - 1][begin] == kNever) continue;
        const uint64_t worst = std::max(best[p - 1][begin], sum[end] - sum[begin]);
        if (worst < best[p][end]) {
          best[p][end] = worst;
          cut[p][end] = begin;
        }
      }
  std::vector<int> counts;
  for (int p = parts, end = n; p > 0; end = cut[p][end], --p) counts.push_back(end - cut[p][end]);
  std::reverse(counts.begin(), counts.end());
  return counts;
}

}  // namespace potluck
