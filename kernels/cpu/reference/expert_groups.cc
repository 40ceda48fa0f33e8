// Groups slots by counting, and sums a token's outputs in registers.
#include "kernels/cpu/reference/expert_groups.h"

#include <algorithm>

#include "kernels/cpu/machine/each_row.h"
#include "kernels/cpu/reference/lanes.h"

namespace potluck::cpu {
namespace {

struct Slots {
  const float* outputs;
  const int32_t* place;
  const float* weight;
  int used;
};

// out = Σ_k weight[k] · outputs[place[k],:], kVectors · 16 columns at a time in registers.
template <int kVectors>
POTLUCK_INLINE void sum_strip(const Slots& s, int64_t hidden, float* out) {
  Lanes sums[kVectors] = {}, x;
  for (int k = 0; k < s.used; ++k) {
    const float* from = s.outputs + s.place[k] * hidden;
    for (int i = 0; i < kVectors; ++i) {
      load_lanes(from + i * kLanes, x);
      sums[i] += s.weight[k] * x;
    }
  }
  for (int i = 0; i < kVectors; ++i) store_lanes(out + i * kLanes, sums[i]);
}

POTLUCK_CLONES void sum_row(Slots s, int64_t hidden, float* out) {
  constexpr int kVectors = 4;
  int64_t i = 0;
  for (; i + kVectors * kLanes <= hidden; i += kVectors * kLanes, s.outputs += kVectors * kLanes)
    sum_strip<kVectors>(s, hidden, out + i);
  for (; i < hidden; ++i, ++s.outputs) {
    out[i] = 0;
    for (int k = 0; k < s.used; ++k) out[i] += s.weight[k] * s.outputs[s.place[k] * hidden];
  }
}

}  // namespace

ExpertGroups take_groups(size_t slots, int experts, Arena& arena) {
  ExpertGroups g;
  g.slots = slots;
  g.order = arena.take<int32_t>(slots);
  g.place = arena.take<int32_t>(slots);
  g.begin = arena.take<int32_t>(static_cast<size_t>(experts) + 1);
  return g;
}

// Sorts by counting.
void group_by_expert(const int32_t* expert, int experts, const ExpertGroups& g) {
  std::fill(g.begin, g.begin + experts + 1, 0);
  for (int64_t i = 0; i < g.slots; ++i) ++g.begin[expert[i] + 1];
  for (int e = 0; e < experts; ++e) g.begin[e + 1] += g.begin[e];
  for (int64_t i = 0; i < g.slots; ++i) {
    g.place[i] = g.begin[expert[i]]++;
    g.order[g.place[i]] = i;
  }
  for (int e = experts; e > 0; --e) g.begin[e] = g.begin[e - 1];
  g.begin[0] = 0;
}

void sum_slots(const ExpertGroups& groups, ConstRows outputs, const float* weight, int64_t rows,
               float* out, ThreadPool& pool) {
  if (rows == 0) return;
  const int used = groups.slots / rows;
  const int64_t hidden = outputs.stride;
  each_row(rows, pool, [&](int64_t t, int) {
    sum_row({outputs.data, groups.place + t * used, weight + t * used, used}, hidden,
            out + t * hidden);
  });
}

}  // namespace potluck::cpu
