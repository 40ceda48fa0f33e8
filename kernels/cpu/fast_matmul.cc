// Rows are packed by all threads, then each task takes panels of W and all rows against them.
#include <algorithm>

#include "kernels/cpu/arena.h"
#include "kernels/cpu/fast.h"
#include "kernels/cpu/packed_product.h"

namespace potluck::cpu {
namespace {

constexpr int64_t kPanelsMax = 4;  // of a task
constexpr int64_t kRowBlock = 64;  // rows of x that meet a task's panels together

struct Scratch {
  PackedRows rows;
  std::byte* panels;  // one a thread
};

Scratch carve(const PackedProduct& product, int64_t columns, int64_t rows, int threads,
              Arena& arena) {
  Scratch s;
  s.rows = take_rows(product, columns, rows, arena);
  s.panels = arena.take<std::byte>(static_cast<size_t>(threads) * kPanelsMax *
                                   product.panel_bytes(columns));
  return s;
}

// As many as leave every thread some tasks.
int64_t panels_a_task(const WeightView& w, int threads) {
  return std::clamp<int64_t>(panel_count(w.rows) / (4 * threads), 1, kPanelsMax);
}

// One of `parts` of what is to be prefetched.
void take_part(int64_t part, int64_t parts, PanelProduct& p) {
  const size_t bytes = p.next_bytes / static_cast<size_t>(parts);
  p.next += static_cast<size_t>(part) * bytes;
  p.next_bytes = part + 1 < parts ? bytes : p.next_bytes - static_cast<size_t>(part) * bytes;
}

struct Task {
  const PackedProduct& product;
  const WeightView& w;
  PackedRows x;
  int64_t rows;
  std::byte* panels;
  float* out;
};

// Panels [begin, end) of W; the panels that this thread takes next begin `ahead` further.
void run(const Task& t, int64_t begin, int64_t end, int64_t ahead) {
  const size_t panel_bytes = t.product.panel_bytes(t.w.columns);
  const auto rows_of = [&](int64_t panel) {
    return std::min(kPanelRows, t.w.rows - panel * kPanelRows);
  };
  for (int64_t panel = begin; panel < end; ++panel)
    t.product.pack_panel(t.w.slice(panel * kPanelRows, rows_of(panel)),
                         t.panels + static_cast<size_t>(panel - begin) * panel_bytes);
  for (int64_t first = 0; first < t.rows; first += kRowBlock)
    for (int64_t panel = begin; panel < end; ++panel) {
      const int64_t column = panel * kPanelRows;
      PanelProduct p{t.x.from(first),
                     std::min(kRowBlock, t.rows - first),
                     t.panels + static_cast<size_t>(panel - begin) * panel_bytes,
                     t.w.columns,
                     t.out + first * t.w.rows + column,
                     t.w.rows,
                     rows_of(panel)};
      set_next(t.w, column + ahead * kPanelRows, p);
      take_part(first / kRowBlock, (t.rows + kRowBlock - 1) / kRowBlock, p);
      t.product.multiply(p);
    }
}

}  // namespace

size_t fast_matmul_scratch(const PackedProduct& product, int64_t columns, int64_t rows_max,
                           int threads) {
  Arena arena(nullptr);
  carve(product, columns, rows_max, threads, arena);
  return arena.used();
}

void fast_matmul(const PackedProduct& product, const float* x, int64_t rows, const WeightView& w,
                 float* out, void* scratch, ThreadPool& pool) {
  Arena arena(scratch);
  const Scratch s = carve(product, w.columns, rows, pool.threads(), arena);
  pool.for_each(rows,
                [&](int64_t t, int) { product.pack_row(x + t * w.columns, w.columns, s.rows[t]); });
  const int64_t wide = panels_a_task(w, pool.threads());
  pool.for_each((panel_count(w.rows) + wide - 1) / wide, [&](int64_t task, int thread) {
    const Task t{
        product,
        w,
        s.rows,
        rows,
        s.panels + static_cast<size_t>(thread) * kPanelsMax * product.panel_bytes(w.columns),
        out};
    run(t, task * wide, std::min((task + 1) * wide, panel_count(w.rows)), wide * pool.threads());
  });
}

}  // namespace potluck::cpu
