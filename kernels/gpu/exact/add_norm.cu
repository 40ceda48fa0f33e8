// A block sums the branches of its row in `out`, then norms, adds and rounds what lies there: each
// thread reads only what it has written itself.
#include "kernels/gpu/device/math.h"
#include "kernels/gpu/device/reduce.h"
#include "kernels/gpu/device/segments.h"
#include "kernels/gpu/exact/add_norm.h"

namespace potluck::gpu {

constexpr int kAddNormThreads = 256;

// A row of a branch: h · inverse · norm, or h without a norm, or 0 without h.
struct BranchRow {
  const float* h;
  const float* norm;
  float inverse;
};

GPU_DEVICE BranchRow branch_row(const Branch& branch, const AddNorm& a,
                                float (&partial)[kAddNormThreads / 32]) {
  if (!branch.h) return {};
  const float* h = branch.h + block_x() * a.n;
  if (!branch.norm) return {h, nullptr, 1.0f};
  return {h, branch.norm, inverse_rms<kAddNormThreads>(h, a.n, a.eps, partial)};
}

GPU_DEVICE float value_of(const BranchRow& branch, int64_t i) {
  if (!branch.h) return 0.0f;
  return branch.norm ? branch.h[i] * branch.inverse * branch.norm[i] : branch.h[i];
}

GPU_KERNEL(add_norm, AddNorm, kAddNormThreads) {
  GPU_SHARED(float, partial, [kAddNormThreads / 32]);
  const Segment* segment = segment_of(*a.params, block_x());
  if (!segment) return;
  const float* x = a.x + block_x() * a.n;
  float* out = a.out + block_x() * a.n;
  const BranchRow first = branch_row(a.first, a, partial);
  const BranchRow second = branch_row(a.second, a, partial);
  for (int64_t i = thread(); i < a.n; i += kAddNormThreads)
    out[i] = value_of(first, i) + value_of(second, i);
  const float inverse = inverse_rms<kAddNormThreads>(out, a.n, a.eps, partial);
  const float scale = a.scale ? a.scale[static_cast<int>(segment->mode)] : 1.0f;
  for (int64_t i = thread(); i < a.n; i += kAddNormThreads)
    out[i] = round_to(a.stream, (x[i] + out[i] * inverse * a.weight[i]) * scale);
}

}  // namespace potluck::gpu
