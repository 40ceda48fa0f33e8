// Rows are packed by all threads, then each task takes panels of W and all rows against them.
#include <algorithm>

#include "kernels/cpu/arena.h"
#include "kernels/cpu/fast.h"
#include "kernels/cpu/packed_product.h"

namespace potluck::cpu {
namespace {

struct Scratch {
  PackedRows rows;
  std::byte* panels;  // one a thread
};

Scratch carve(const PackedProduct& product, int64_t columns, int64_t rows, int threads,
              Arena& arena) {
  Scratch s;
  s.rows = take_rows(product, columns, rows, arena);
  s.panels = arena.take<std::byte>(static_cast<size_t>(threads) * product.panel_bytes(columns));
  return s;
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
  const size_t panel_bytes = product.panel_bytes(w.columns);
  pool.for_each(rows,
                [&](int64_t t, int) { product.pack_row(x + t * w.columns, w.columns, s.rows[t]); });
  pool.for_each((w.rows + kPanelRows - 1) / kPanelRows, [&](int64_t task, int thread) {
    std::byte* panel = s.panels + static_cast<size_t>(thread) * panel_bytes;
    const int64_t first = task * kPanelRows, count = std::min(kPanelRows, w.rows - first);
    product.pack_panel(w.slice(first, count), panel);
    PanelProduct p{s.rows, rows, panel, w.columns, out + first, w.rows, count};
    set_next(w, first + kPanelRows * pool.threads(), p);
    product.multiply(p);
  });
}

}  // namespace potluck::cpu
