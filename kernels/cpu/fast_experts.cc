// Experts in three passes over all of them, so that threads meet three times a layer and not three
// times an expert: gate and up with GELU, packing for down, down. Then each token sums its own.
#include <algorithm>

#include "kernels/cpu/arena.h"
#include "kernels/cpu/expert_groups.h"
#include "kernels/cpu/fast.h"
#include "kernels/cpu/packed_product.h"

namespace potluck::cpu {
namespace {

struct Scratch {
  ExpertGroups groups;
  std::byte* rows;           // [rows] packed x
  const std::byte** x;       // [slots] the packed row of each slot, grouped
  float* inner;              // [slots, 2 · inner] gate and up, then gelu(gate) ⊙ up in its front
  std::byte* inner_rows;     // [slots] packed inner
  const std::byte** inners;  // [slots]
  float* outputs;            // [slots, H], grouped
  std::byte* panels;         // one a thread
  size_t panel_bytes;
};

struct Products {
  const PackedProduct& gate_up;
  const PackedProduct& down;
};

Products products_of(Isa isa, const ExpertsView& view) {
  return {packed_product(isa, view.gate_up.type, Use::few),
          packed_product(isa, view.down.type, Use::few)};
}

Scratch carve(const Products& p, const ExpertsView& view, int64_t rows, int threads, Arena& arena) {
  const auto slots = static_cast<size_t>(rows * view.used);
  Scratch s;
  s.groups = carve_groups(slots, view.experts, arena);
  s.rows = arena.take<std::byte>(static_cast<size_t>(rows) * p.gate_up.row_bytes(view.hidden));
  s.x = arena.take<const std::byte*>(slots);
  s.inner = arena.take<float>(slots * static_cast<size_t>(2 * view.inner));
  s.inner_rows = arena.take<std::byte>(slots * p.down.row_bytes(view.inner));
  s.inners = arena.take<const std::byte*>(slots);
  s.outputs = arena.take<float>(slots * static_cast<size_t>(view.hidden));
  s.panel_bytes = std::max(p.gate_up.panel_bytes(view.hidden), p.down.panel_bytes(view.inner));
  s.panels = arena.take<std::byte>(static_cast<size_t>(threads) * s.panel_bytes);
  return s;
}

// What one pass multiplies: W [experts · outputs, K], grouped rows x, out [slots, outputs].
struct Pass {
  const PackedProduct& product;
  const WeightView& w;
  int64_t outputs;
  const std::byte* const* x;
  float* out;
};

// Every expert hit against each of its panels.
void run(const Pass& pass, int experts, const Scratch& s, ThreadPool& pool) {
  const int64_t panels = (pass.outputs + kPanelRows - 1) / kPanelRows;
  const auto first_row = [&](int64_t task) {
    return task / panels * pass.outputs + task % panels * kPanelRows;
  };
  pool.for_each(experts * panels, [&](int64_t task, int thread) {
    const int64_t e = task / panels, first = task % panels * kPanelRows;
    if (s.groups.rows(e) == 0) return;
    std::byte* panel = s.panels + static_cast<size_t>(thread) * s.panel_bytes;
    const int64_t count = std::min(kPanelRows, pass.outputs - first), row = s.groups.begin[e];
    pass.product.pack_panel(pass.w.slice(first_row(task), count), panel);
    PanelProduct p{pass.x + row,
                   s.groups.rows(e),
                   panel,
                   pass.w.columns,
                   pass.out + row * pass.outputs + first,
                   pass.outputs,
                   count};
    set_next(pass.w, first_row(task + pool.threads()), p);
    pass.product.multiply(p);
  });
}

void pack_inputs(const PackedProduct& product, const float* x, int64_t rows, int64_t hidden,
                 int used, const Scratch& s, ThreadPool& pool) {
  const size_t bytes = product.row_bytes(hidden);
  pool.for_each(rows, [&](int64_t t, int) {
    product.pack_row(x + t * hidden, hidden, s.rows + static_cast<size_t>(t) * bytes);
  });
  for (int64_t i = 0; i < s.groups.slots; ++i)
    s.x[i] = s.rows + static_cast<size_t>(s.groups.order[i] / used) * bytes;
}

void activation_pass(const PackedProduct& product, const ExpertsView& view, const Scratch& s,
                     ThreadPool& pool) {
  const size_t bytes = product.row_bytes(view.inner);
  pool.for_each(s.groups.slots, [&](int64_t i, int) {
    float* gate = s.inner + i * 2 * view.inner;
    gelu_mul_row(gate, gate + view.inner, view.inner, gate);
    std::byte* packed = s.inner_rows + static_cast<size_t>(i) * bytes;
    product.pack_row(gate, view.inner, packed);
    s.inners[i] = packed;
  });
}

}  // namespace

size_t fast_experts_scratch(Isa isa, const ExpertsView& view, int64_t rows_max, int threads) {
  Arena arena(nullptr);
  carve(products_of(isa, view), view, rows_max, threads, arena);
  return arena.used();
}

void fast_experts(Isa isa, const float* x, int64_t rows, const ExpertsView& view,
                  const int32_t* expert, const float* weight, float* out, void* scratch,
                  ThreadPool& pool) {
  const Products products = products_of(isa, view);
  Arena arena(scratch);
  const Scratch s = carve(products, view, rows, pool.threads(), arena);
  group_by_expert(expert, view.experts, s.groups);
  pack_inputs(products.gate_up, x, rows, view.hidden, view.used, s, pool);
  run({products.gate_up, view.gate_up, 2 * view.inner, s.x, s.inner}, view.experts, s, pool);
  activation_pass(products.down, view, s, pool);
  run({products.down, view.down, view.hidden, s.inners, s.outputs}, view.experts, s, pool);
  sum_slots(s.groups, s.outputs, weight, rows, view.used, view.hidden, out, pool);
}

}  // namespace potluck::cpu
