#include "kernels/cpu/expert_groups.h"

#include <algorithm>

#include "kernels/cpu/lanes.h"

namespace potluck::cpu {
namespace {

POTLUCK_CLONES void add_scaled(const float* from, float weight, int64_t n, float* to) {
  for (int64_t i = 0; i < n; ++i) to[i] += weight * from[i];
}

}  // namespace

ExpertGroups carve_groups(size_t slots, int experts, Arena& arena) {
  ExpertGroups g;
  g.slots = static_cast<int64_t>(slots);
  g.order = arena.take<int32_t>(slots);
  g.place = arena.take<int32_t>(slots);
  g.begin = arena.take<int32_t>(static_cast<size_t>(experts) + 1);
  return g;
}

// A counting sort.
void group_by_expert(const int32_t* expert, int experts, const ExpertGroups& g) {
  std::fill(g.begin, g.begin + experts + 1, 0);
  for (int64_t i = 0; i < g.slots; ++i) ++g.begin[expert[i] + 1];
  for (int e = 0; e < experts; ++e) g.begin[e + 1] += g.begin[e];
  for (int64_t i = 0; i < g.slots; ++i) {
    g.place[i] = g.begin[expert[i]]++;
    g.order[g.place[i]] = static_cast<int32_t>(i);
  }
  for (int e = experts; e > 0; --e) g.begin[e] = g.begin[e - 1];
  g.begin[0] = 0;
}

void sum_slots(const ExpertGroups& groups, const float* outputs, const float* weight, int64_t rows,
               int used, int64_t hidden, float* out, ThreadPool& pool) {
  pool.for_each(rows, [&](int64_t t, int) {
    float* sum = out + t * hidden;
    std::fill(sum, sum + hidden, 0.0f);
    for (int64_t slot = t * used; slot < (t + 1) * used; ++slot)
      add_scaled(outputs + groups.place[slot] * hidden, weight[slot], hidden, sum);
  });
}

}  // namespace potluck::cpu
