// The branches of a row are summed first, then their sum is normed, added and rounded.
#include "kernels/cpu/reference/add_norm.h"

#include "kernels/cpu/machine/each_row.h"
#include "kernels/cpu/reference/dequantize.h"
#include "kernels/cpu/reference/elementwise.h"
#include "kernels/cpu/reference/lanes.h"
#include "kernels/cpu/reference/rms_norm.h"

namespace potluck::cpu {
namespace {

// A row of a branch: h · inverse · norm, or h.
struct BranchRow {
  const float* h;
  float inverse;
  const float* norm;
};

template <typename Load>
POTLUCK_INLINE void load_branch(const BranchRow& b, int64_t i, const Load& load, Lanes& value) {
  load(b.h + i, value);
  if (!b.norm) return;
  Lanes norm;
  load(b.norm + i, norm);
  value = value * b.inverse * norm;
}

POTLUCK_CLONES void add_branches(BranchRow a, BranchRow b, int64_t n, float* out) {
  set_lanes(
      n, out, [&](int64_t i, const auto& load, Lanes& sum) __attribute__((always_inline)) {
        Lanes other;
        load_branch(a, i, load, sum);
        load_branch(b, i, load, other);
        sum += other;
      });
}

BranchRow branch_row(const Branch& branch, int64_t t, int64_t n, float eps) {
  const float* h = branch.h + t * n;
  return {h, branch.norm ? inverse_rms(h, n, eps) : 1.0f, branch.norm};
}

// Returns the row of h: one branch as it lies, or what was summed in `out`.
const float* sum_of_branches(const AddNorm& a, int64_t t, int64_t n, float* out) {
  if (!a.second.h && !a.first.norm) return a.first.h + t * n;
  const BranchRow first = branch_row(a.first, t, n, a.eps);
  if (a.second.h)
    add_branches(first, branch_row(a.second, t, n, a.eps), n, out);
  else
    scale_row(first.h, first.inverse, first.norm, n, out);
  return out;
}

struct NormedSum {
  const float *x1, *h, *weight;
  float inverse, scale;
};

// out = (x1 + h · inverse · weight) · scale; out may be h.
POTLUCK_CLONES void add_normed_row(const NormedSum& s, int64_t n, float* out) {
  set_lanes(
      n, out, [&](int64_t i, const auto& load, Lanes& sum) __attribute__((always_inline)) {
        Lanes h, weight;
        load(s.x1 + i, sum);
        load(s.h + i, h);
        load(s.weight + i, weight);
        sum = (sum + h * s.inverse * weight) * s.scale;
      });
}

}  // namespace

void add_norm(const AddNorm& a, int64_t rows, int64_t n, float* out, ThreadPool& pool) {
  each_row(rows, pool, [&](int64_t t, int) {
    float* to = out + t * n;
    const float* h = sum_of_branches(a, t, n, to);
    add_normed_row({a.x1 + t * n, h, a.weight, inverse_rms(h, n, a.eps), a.scale}, n, to);
    round_to(a.stream, to, n);
  });
}

}  // namespace potluck::cpu
