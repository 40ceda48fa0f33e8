// The experts run in three passes over all of them, so that threads meet three times a layer and
// not three times an expert: gate and up with GELU, packing for down, down. Then each token sums
// its own.
#include "kernels/cpu/fast/experts.h"

#include <algorithm>
#include <cstring>

#include "kernels/cpu/fast/gelu.h"
#include "kernels/cpu/machine/arena.h"
#include "kernels/cpu/machine/each_row.h"
#include "kernels/cpu/packed/choose.h"
#include "kernels/cpu/reference/expert_groups.h"

namespace potluck::cpu {
namespace {

// A task's panels belong to one expert and follow one another, so that a thread knows which it
// takes next.
constexpr int64_t kPanelsATask = 4;

struct Scratch {
  ExpertGroups groups;
  PackedRows x;       // [slots], grouped
  float* inner;       // [slots, 2 · inner] gate and up, then gelu(gate) ⊙ up in its front
  PackedRows inners;  // [slots]
  float* outputs;     // [slots, H], grouped
  std::byte* panels;  // one a thread
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

Scratch take_scratch(const Products& p, const ExpertsView& view, int64_t rows, int threads,
                     Arena& arena) {
  const auto slots = rows * view.used;
  Scratch s;
  s.groups = take_groups(slots, view.experts, arena);
  s.x = take_rows(p.gate_up, view.hidden, s.groups.slots, arena);
  s.inner = arena.take<float>(slots * 2 * view.inner);
  s.inners = take_rows(p.down, view.inner, s.groups.slots, arena);
  s.outputs = arena.take<float>(slots * view.hidden);
  s.panel_bytes = std::max(p.gate_up.panel_bytes(view.hidden), p.down.panel_bytes(view.inner));
  s.panels = arena.take<std::byte>(threads * s.panel_bytes);
  return s;
}

// One pass multiplies W [experts · outputs, K] by the grouped rows x [slots], to out [slots,
// outputs].
struct Pass {
  const PackedProduct& product;
  const WeightView& w;
  bool stored;  // as panels
  int64_t outputs;
  PackedRows x;
  float* out;
};

// Panels `begin` to `end` of one expert, and the panel that this thread most likely takes after
// them; all are counted over experts.
struct Task {
  int64_t expert, begin, end, after;
};

// Returns the stored panel; past the last there is none.
const std::byte* stored_panel(const Pass& pass, int64_t panel, int64_t panels) {
  if (panel >= panels) return nullptr;
  return static_cast<const std::byte*>(pass.w.blocks) +
         panel * pass.product.stored_bytes(pass.w.columns);
}

// Multiplies one expert's rows by some of its panels, in one thread.
void run_task(const Pass& pass, int experts, const Task& task, const Scratch& s,
              std::byte* unpacked) {
  const int64_t panels = panel_count(pass.outputs), row = s.groups.begin[task.expert];
  for (int64_t panel = task.begin; panel < task.end; ++panel) {
    const int64_t first = panel % panels * kPanelRows;
    const int64_t next = panel + 1 < task.end ? panel + 1 : task.after;
    const auto first_row = [&](int64_t of) {
      return of / panels * pass.outputs + of % panels * kPanelRows;
    };
    PanelProduct p{pass.x.from(row),
                   s.groups.rows(task.expert),
                   unpacked,
                   pass.w.columns,
                   pass.out + row * pass.outputs + first,
                   pass.outputs,
                   std::min(kPanelRows, pass.outputs - first)};
    if (pass.stored) {
      p.panel = stored_panel(pass, panel, experts * panels);
      p.next = stored_panel(pass, next, experts * panels);
      p.work = unpacked;
      p.next_bytes = p.next ? pass.product.stored_bytes(pass.w.columns) : 0;
      pass.product.multiply_stored(p);
    } else {
      pass.product.pack_panel(pass.w.slice(first_row(panel), p.count), unpacked);
      set_next(pass.w, first_row(next), p);
      pass.product.multiply(p);
    }
  }
}

// Multiplies the rows of every expert by each of its panels.
void run(const Pass& pass, int experts, const Scratch& s, ThreadPool& pool) {
  const int64_t panels = panel_count(pass.outputs);
  const int64_t tasks = (panels + kPanelsATask - 1) / kPanelsATask;
  pool.for_each(experts * tasks, [&](int64_t index, int thread) {
    const auto panel_of = [&](int64_t at) {
      return at / tasks * panels + at % tasks * kPanelsATask;
    };
    const Task task{index / tasks, panel_of(index),
                    std::min(panel_of(index) + kPanelsATask, (index / tasks + 1) * panels),
                    panel_of(index + pool.threads())};
    if (s.groups.rows(task.expert) > 0)
      run_task(pass, experts, task, s, s.panels + thread * s.panel_bytes);
  });
}

// A token's row is packed once and copied to the groups of its other experts.
void pack_inputs(const PackedProduct& product, const RoutedRows& in, const ExpertsView& view,
                 const Scratch& s, ThreadPool& pool) {
  each_row(in.rows, pool, [&](int64_t t, int) {
    const int32_t* places = s.groups.place + t * view.used;
    product.pack_row(in.x + t * view.hidden, view.hidden, s.x[places[0]]);
    for (int k = 1; k < view.used; ++k) std::memcpy(s.x[places[k]], s.x[places[0]], s.x.stride);
  });
}

void activation_pass(const PackedProduct& product, const ExpertsView& view, const Scratch& s,
                     ThreadPool& pool) {
  each_row(s.groups.slots, pool, [&](int64_t i, int) {
    float* gate = s.inner + i * 2 * view.inner;
    fast_gelu_mul_row(gate, gate + view.inner, view.inner, gate);
    product.pack_row(gate, view.inner, s.inners[i]);
  });
}

}  // namespace

size_t fast_experts_scratch(Isa isa, const ExpertsView& view, int64_t rows_max, int threads) {
  Arena arena(nullptr);
  take_scratch(products_of(isa, view), view, rows_max, threads, arena);
  return arena.used();
}

void fast_experts(const FastExperts& experts, const RoutedRows& in, float* out, void* scratch,
                  ThreadPool& pool) {
  const ExpertsView& view = experts.view;
  const Products products = products_of(experts.isa, view);
  Arena arena(scratch);
  const Scratch s = take_scratch(products, view, in.rows, pool.threads(), arena);
  group_by_expert(in.expert, view.experts, s.groups);
  pack_inputs(products.gate_up, in, view, s, pool);
  run({products.gate_up, view.gate_up, experts.stored.gate_up, 2 * view.inner, s.x, s.inner},
      view.experts, s, pool);
  activation_pass(products.down, view, s, pool);
  run({products.down, view.down, experts.stored.down, view.hidden, s.inners, s.outputs},
      view.experts, s, pool);
  sum_slots(s.groups, {s.outputs, view.hidden}, in.weight, in.rows, out, pool);
}

}  // namespace potluck::cpu
