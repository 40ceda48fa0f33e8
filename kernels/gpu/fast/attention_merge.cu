// A block takes a row, a thread 4 columns of a head at a time; spans are summed in order.
#include "kernels/gpu/device/math.h"
#include "kernels/gpu/exact/attention.h"

namespace potluck::gpu {

constexpr int kMergeThreads = 256;

struct alignas(16) Four {
  float value[4];
};

// The greatest score of a row and head in any span. `at`: where its first result lies, in heads.
GPU_DEVICE float greatest_score(const AttentionMerge& a, int64_t at) {
  float most = -infinity();
  for (int span = 0; span < a.spans.cached + a.spans.canvas; ++span) {
    const SpanMass of = a.spans.masses[at + int64_t{span} * a.spans.rows * a.heads];
    if (of.mass != 0 && of.max > most) most = of.max;
  }
  return most;
}

// Adding 0 makes −0 0, which a key that the row does not see would have done too.
GPU_DEVICE Four merged(const AttentionMerge& a, int64_t at, int column) {
  const float most = greatest_score(a, at);
  Four sum = {};
  float mass = 0;
  for (int span = 0; span < a.spans.cached + a.spans.canvas; ++span) {
    const int64_t of_span = at + int64_t{span} * a.spans.rows * a.heads;
    const SpanMass of = a.spans.masses[of_span];
    if (of.mass == 0) continue;
    const float weight = fast_exp2((of.max - most) * kLog2E);
    const Four values = *as<const Four>(a.spans.sums + of_span * a.head_dim + column);
    mass = fma(of.mass, weight, mass);
    GPU_UNROLL
    for (int i = 0; i < 4; ++i) sum.value[i] = fma(values.value[i], weight, sum.value[i]);
  }
  GPU_UNROLL
  for (int i = 0; i < 4; ++i) sum.value[i] = sum.value[i] / mass + 0.0f;
  return sum;
}

GPU_KERNEL(attention_merge, AttentionMerge, kMergeThreads) {
  const int row = a.first_row + block_x();
  const int width = a.heads * a.head_dim;
  if (row >= a.params->rows) return;
  for (int i = thread() * 4; i < width; i += kMergeThreads * 4) {
    const int head = i / a.head_dim, column = i % a.head_dim;
    *as<Four>(a.out + int64_t{row} * width + i) =
        merged(a, int64_t{block_x()} * a.heads + head, column);
  }
}

}  // namespace potluck::gpu
