// A block norms its rows, multiplies them by all experts, a warp an expert, and then a warp chooses
// for a row. A row's operations and their order are the same in each place of a block.
#include "kernels/gpu/device/dequantize.h"
#include "kernels/gpu/device/math.h"
#include "kernels/gpu/device/reduce.h"
#include "kernels/gpu/exact/route.h"

namespace potluck::gpu {

constexpr int kRouteThreads = 256;
constexpr int kRouteWarps = kRouteThreads / 32;
constexpr int kRouteRun = 8;                         // columns that a lane opens at a time
constexpr int kRoutePart = 1024;                     // columns that lie in shared memory
constexpr int kRoutePad = 4;                         // keeps rows apart in the banks
constexpr int kRouteLanes = kRouteExpertsMost / 32;  // experts of a lane

struct RouteTile {
  float partial[kRouteWarps];
  float r[kRouteRows][kRoutePart + kRoutePad];  // rms(x) ⊙ scale · H^−½
  float p[kRouteRows][kRouteExpertsMost];       // logits
};

// r = columns [first, first + kRoutePart) of the block's rows; 0 beyond rows and columns.
GPU_DEVICE void take_part(const Route& a, int64_t first, const float (&inverse)[kRouteRows],
                          RouteTile& tile) {
  const int64_t hidden = a.projection.columns;
  const float columns = hidden, factor = 1.0f / sqrt(columns);
  for (int i = thread(); i < kRoutePart; i += kRouteThreads) {
    const int64_t at = first + i;
    GPU_UNROLL
    for (int r = 0; r < kRouteRows; ++r) {
      const int64_t row = int64_t{block_x()} * kRouteRows + r;
      const bool inside = at < hidden && row < a.rows;
      tile.r[r][i] = inside ? a.x[row * hidden + at] * inverse[r] * (a.scale[at] * factor) : 0.0f;
    }
  }
}

// Adds an expert's products with the part of columns to its logits. The order of a logit's sum
// depends on H alone.
GPU_DEVICE void add_part(const Route& a, int64_t first, int expert, RouteTile& tile) {
  const uint8_t* row = a.projection.blocks + expert * a.projection.row_bytes;
  float sums[kRouteRows] = {};
  for (int i = lane() * kRouteRun; i < kRoutePart; i += 32 * kRouteRun) {
    float w[kRouteRun];
    open_run(a.projection.type, row, opaque(first + i), a.projection.columns, w);
    GPU_UNROLL
    for (int j = 0; j < kRouteRun; ++j) {
      GPU_UNROLL
      for (int r = 0; r < kRouteRows; ++r) sums[r] = fma(tile.r[r][i + j], w[j], sums[r]);
    }
  }
  GPU_UNROLL
  for (int r = 0; r < kRouteRows; ++r) {
    const float sum = warp_sum(sums[r]);
    if (lane() == 0) tile.p[r][expert] = first == 0 ? sum : tile.p[r][expert] + sum;
  }
}

// p = the softmax of logits; a lane has those of experts lane(), lane() + 32, …; −1 stands beyond
// the last. Returns the sum that they were divided by.
GPU_DEVICE float softmax(const float* logits, int experts, float (&p)[kRouteLanes]) {
  float most = -infinity(), sum = 0;
  for (int e = lane(); e < experts; e += 32) most = logits[e] > most ? logits[e] : most;
  most = warp_max(most);
  GPU_UNROLL
  for (int i = 0; i < kRouteLanes; ++i) {
    const int e = lane() + 32 * i;
    p[i] = e < experts ? exp(logits[e] - most) : -1.0f;
    if (e < experts) sum += p[i];
  }
  sum = warp_sum(sum);
  GPU_UNROLL
  for (int i = 0; i < kRouteLanes; ++i)
    if (lane() + 32 * i < experts) p[i] /= sum;
  return sum;
}

struct Choice {
  float p;
  int expert;
};

// The greatest p of all lanes, of equal ones that of the lower index; expert 0 where none is a
// number.
GPU_DEVICE Choice best_of(const float (&p)[kRouteLanes]) {
  Choice best{-1.0f, 0};
  GPU_UNROLL
  for (int i = 0; i < kRouteLanes; ++i)
    if (p[i] > best.p) best = {p[i], lane() + 32 * i};
  GPU_UNROLL
  for (int mask = 16; mask > 0; mask /= 2) {
    const Choice other{shuffle_xor(best.p, mask), shuffle_xor(best.expert, mask)};
    if (other.p > best.p || (other.p == best.p && other.expert < best.expert)) best = other;
  }
  return best;
}

// Lane k keeps the k-th choice.
GPU_DEVICE void choose(const Route& a, int64_t row, const float* logits) {
  float p[kRouteLanes];
  const float total = softmax(logits, a.projection.rows, p);
  float sum = total == total ? 0.0f : total;  // weights of logits that are none are none, too
  Choice mine{};
  for (int k = 0; k < a.used; ++k) {
    const Choice best = best_of(p);
    sum += best.p;
    if (lane() == k) mine = best;
    GPU_UNROLL
    for (int i = 0; i < kRouteLanes; ++i)
      if (lane() + 32 * i == best.expert) p[i] = -1.0f;  // it is taken
  }
  if (lane() >= a.used) return;
  a.expert[row * a.used + lane()] = mine.expert;
  a.weight[row * a.used + lane()] = mine.p / sum * a.per_expert_scale[mine.expert];
}

GPU_KERNEL_OF_BLOCKS(route, Route, kRouteThreads, 2) {
  GPU_SHARED(RouteTile, tile, );
  const int64_t hidden = a.projection.columns, first_row = int64_t{block_x()} * kRouteRows;
  float inverse[kRouteRows];
  GPU_UNROLL
  for (int r = 0; r < kRouteRows; ++r) {
    const int64_t row = first_row + r < a.rows ? first_row + r : a.rows - 1;
    inverse[r] = inverse_rms<kRouteThreads>(a.x + row * hidden, hidden, a.eps, tile.partial);
  }
  for (int64_t first = 0; first < hidden; first += kRoutePart) {
    barrier();
    take_part(a, first, inverse, tile);
    barrier();
    for (int e = warp(); e < a.projection.rows; e += kRouteWarps) add_part(a, first, e, tile);
  }
  barrier();
  if (warp() < kRouteRows && first_row + warp() < a.rows)
    choose(a, first_row + warp(), tile.p[warp()]);
}

}  // namespace potluck::gpu
