// The median of measured times.
#include "cluster/cli/statistics.h"

#include <algorithm>

namespace potluck {

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

}  // namespace potluck
