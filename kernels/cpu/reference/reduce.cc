// Sums and maxima are taken lane by lane, then over the lanes.
#include "kernels/cpu/reference/reduce.h"

#include "kernels/cpu/reference/lanes.h"

namespace potluck::cpu {

POTLUCK_CLONES float sum_of(const float* x, int64_t n) {
  Lanes sum = {}, lanes;
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    load_lanes(x + i, lanes);
    sum += lanes;
  }
  load_lanes_part(x + i, n - i, lanes);
  sum += lanes;
  return sum_lanes(sum);
}

POTLUCK_CLONES float max_of(const float* x, int64_t n) {
  Lanes most, lanes;
  for (int j = 0; j < kLanes / 2; ++j) most.low[j] = most.high[j] = x[0];
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    load_lanes(x + i, lanes);
    raise_lanes(most, lanes);
  }
  float each[kLanes];
  store_lanes(each, most);
  float all = each[0];
  for (int j = 1; j < kLanes; ++j) all = each[j] > all ? each[j] : all;
  for (; i < n; ++i) all = x[i] > all ? x[i] : all;
  return all;
}

}  // namespace potluck::cpu
