// Rows are packed by all threads, then each task takes panels of W and multiplies all rows by them.
#include "kernels/cpu/fast/matmul.h"

#include <algorithm>

#include "kernels/cpu/machine/arena.h"

namespace potluck::cpu {
namespace {

// A task keeps this in an L2 of 1 or 2 MB: panels, and the rows of x that meet them next.
constexpr size_t kPanelsBytes = 640 << 10, kRowsBytes = 400 << 10;
constexpr int64_t kPanelsMax = 8, kRowStep = 32;

struct Scratch {
  PackedRows rows;
  std::byte* panels;  // one a thread
};

int64_t panels_max(const PackedProduct& product, int64_t columns) {
  const auto fitting = kPanelsBytes / product.panel_bytes(columns);
  return std::clamp<int64_t>(fitting, 1, kPanelsMax);
}

Scratch take_scratch(const PackedProduct& product, int64_t columns, int64_t rows, int threads,
                     Arena& arena) {
  Scratch s;
  s.rows = take_rows(product, columns, rows, arena);
  s.panels = arena.take<std::byte>((threads * panels_max(product, columns)) *
                                   product.panel_bytes(columns));
  return s;
}

// A task has as many panels as leave every thread some tasks.
int64_t panels_a_task(const PackedProduct& product, const WeightView& w, int threads) {
  return std::clamp<int64_t>(panel_count(w.rows) / (4 * threads), 1,
                             panels_max(product, w.columns));
}

int64_t rows_a_block(const PackedRows& x) {
  return std::max(kRowStep, static_cast<int64_t>(kRowsBytes / x.stride) / kRowStep * kRowStep);
}

// Takes one of `parts` of what is to be prefetched.
void take_part(int64_t part, int64_t parts, PanelProduct& p) {
  const size_t bytes = p.next_bytes / parts;
  p.next += part * bytes;
  p.next_bytes = part + 1 < parts ? bytes : p.next_bytes - part * bytes;
}

struct Task {
  const PackedProduct& product;
  const WeightView& w;
  PackedRows x;
  int64_t rows;
  std::byte* panels;
  float* out;
};

// Multiplies panels [begin, end) of W; the panels that this thread takes next begin `ahead`
// further.
void run(const Task& t, int64_t begin, int64_t end, int64_t ahead) {
  const size_t panel_bytes = t.product.panel_bytes(t.w.columns);
  const auto rows_of = [&](int64_t panel) {
    return std::min(kPanelRows, t.w.rows - panel * kPanelRows);
  };
  for (int64_t panel = begin; panel < end; ++panel)
    t.product.pack_panel(t.w.slice(panel * kPanelRows, rows_of(panel)),
                         t.panels + (panel - begin) * panel_bytes);
  const int64_t block = rows_a_block(t.x);
  for (int64_t first = 0; first < t.rows; first += block)
    for (int64_t panel = begin; panel < end; ++panel) {
      const int64_t column = panel * kPanelRows;
      PanelProduct p{t.x.from(first),
                     std::min(block, t.rows - first),
                     t.panels + (panel - begin) * panel_bytes,
                     t.w.columns,
                     t.out + first * t.w.rows + column,
                     t.w.rows,
                     rows_of(panel)};
      set_next(t.w, column + ahead * kPanelRows, p);
      take_part(first / block, (t.rows + block - 1) / block, p);
      t.product.multiply(p);
    }
}

}  // namespace

size_t fast_matmul_scratch(const PackedProduct& product, int64_t columns, int64_t rows_max,
                           int threads) {
  Arena arena(nullptr);
  take_scratch(product, columns, rows_max, threads, arena);
  return arena.used();
}

void fast_matmul(const PackedProduct& product, const FastMatmul& a, void* scratch,
                 ThreadPool& pool) {
  const WeightView& w = a.w;
  Arena arena(scratch);
  const Scratch s = take_scratch(product, w.columns, a.rows, pool.threads(), arena);
  pool.for_each(
      a.rows, [&](int64_t t, int) { product.pack_row(a.x + t * w.columns, w.columns, s.rows[t]); });
  const int64_t panels = panel_count(w.rows);
  const int64_t wide = panels_a_task(product, w, pool.threads());
  const size_t thread_bytes = wide * product.panel_bytes(w.columns);
  pool.for_each((panels + wide - 1) / wide, [&](int64_t task, int thread) {
    std::byte* own = s.panels + thread * thread_bytes;
    run({product, w, s.rows, a.rows, own, a.out}, task * wide, std::min((task + 1) * wide, panels),
        wide * pool.threads());
  });
}

}  // namespace potluck::cpu
