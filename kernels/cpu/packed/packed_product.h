// Packed products are how the fast path multiplies stored weights. Rows of x are packed once a
// product (quantised to integers in blocks of 32, or rounded to bf16). 32 rows of W are packed at a
// time into a panel that stays in L2 (the B panel of a GEMM), where the micro-kernel multiplies all
// rows of x by it. So weights are read once, as they are stored, and are never expanded in memory.
//
// Fine products keep 16 bits of x, for twice the multiplications: as two terms (int8 of 1 and of
// 1/256, or bf16 and the bf16 of what it left), or on AVX2 as int16. Q, K and V take them because
// scores are not scaled by 1/√d, self-conditioning because a step hands its rounding on: with one
// term everywhere the golden model of 4 bits loses 1.6 times what the reference loses in bf16
// (worst step 5.5), with fine products there 0.7 (1.2). Finest products do not round W either, as
// bf16 does; self-conditioning takes them, because rounding W would turn that model's worst step to
// 3.2 by one other expert.
//
// A panel comes from the file's blocks or from a stored panel. The file's pages need no loading and
// may be shared by processes. Stored panels are reordered as the model is loaded, for matrices that
// meet few rows or are read in slices. Experts meet some 16 rows each: there unpacking the file's
// blocks took as long as multiplying, and 32 rows read side by side left the memory waiting (one
// layer on a core, Q8_0: 141 ms before, 82 after, of 48 that reading takes). AMX multiplies so fast
// that unpacking took a third of a dense product too (4.1 GFLOP: 5.9 ms before, 5.0 after; two
// terms 9.7 and 8.0. Xeon with AMX, 2026-11-26).
//
// Each out[r, c] is a sum in an order fixed by the columns of W alone: on one instruction set a
// row's bits do not depend on the rows beside it, on threads, or on how a product is cut.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/machine/arena.h"
#include "kernels/cpu/machine/thread_pool.h"
#include "kernels/cpu/reference/weight_view.h"
#include "topology/base/dtype.h"

namespace potluck::cpu {

inline constexpr int64_t kPanelRows = 32;  // rows of W (outputs) in a panel

constexpr int64_t panel_count(int64_t rows) {
  return (rows + kPanelRows - 1) / kPanelRows;
}

// Packed rows lie `stride` bytes apart.
struct PackedRows {
  std::byte* data;
  size_t stride;

  std::byte* operator[](int64_t r) const { return data + r * stride; }
  PackedRows from(int64_t r) const { return {(*this)[r], stride}; }
};

// The operands of the micro-kernel: out[r · out_stride + c] = Σ_i x_r[i] · w[c, i] for the packed
// rows x[0, rows), c < count; with `keep` it starts at keep[r] · out[r · out_stride + c].
// Meanwhile `next`, the stored bytes of the panel that this thread will most likely pack next, are
// prefetched to L2: no hardware prefetcher follows 32 rows read side by side. (Experts, Q8_0: 60 ms
// a layer on one core, 116 without.)
struct PanelProduct {
  PackedRows x;
  int64_t rows;
  const std::byte* panel;
  int64_t columns;
  float* out;
  int64_t out_stride, count;
  const float* keep = nullptr;
  const std::byte* next = nullptr;
  size_t next_bytes = 0;
  std::byte* work = nullptr;      // for stored panels: panel_bytes of room
  const float* factor = nullptr;  // [count]: each sum is multiplied by its own, then added
};

// Columns [first, first + count) of a stored panel of `columns`.
struct StoredSlice {
  const std::byte* stored = nullptr;
  int64_t columns = 0, first = 0, count = 0;
};

// x and W are multiplied as these.
enum class Numbers : uint8_t { integers, bf16, f32 };

// The products with W of one stored type on one instruction set. K is the number of W's columns.
struct PackedProduct {
  const char* name;  // "int8", "bf16"
  int64_t together;  // terms summed in one go: they are left out together or not at all
  size_t (*row_bytes)(int64_t columns);  // of a packed row of x: an odd number of cache lines
  void (*pack_row)(const float* x, int64_t columns, std::byte* packed);
  size_t (*panel_bytes)(int64_t columns);
  void (*pack_panel)(const WeightView& w, std::byte* panel);  // w.rows ≤ kPanelRows
  void (*multiply)(const PanelProduct& product);
  Numbers numbers;

  // The same with stored panels: PanelProduct::panel is one, `work` is given and `keep` is not.
  // nullptr where there are none.
  size_t (*stored_bytes)(int64_t columns) = nullptr;
  void (*store_panel)(const WeightView& w, std::byte* stored) = nullptr;  // w.rows ≤ kPanelRows
  void (*multiply_stored)(const PanelProduct& product) = nullptr;

  // For many rows a stored panel is unpacked, `slice` columns at a time, into what pack_panel would
  // have made of W. multiply_unpacked's p.panel is `own`, unpacked, and p.x are packed rows of its
  // columns alone; meanwhile it unpacks `next`, unless that is empty, into p.work. nullptr where
  // stored panels are for few rows alone.
  int64_t slice = 0;
  void (*unpack_panel)(const StoredSlice& own, std::byte* panel) = nullptr;
  void (*multiply_unpacked)(const PanelProduct& p, const StoredSlice& own,
                            const StoredSlice& next) = nullptr;
};

inline PackedRows take_rows(const PackedProduct& product, int64_t columns, int64_t rows,
                            Arena& arena) {
  const size_t stride = product.row_bytes(columns);
  return {arena.take<std::byte>(rows * stride), stride};
}

// Has `product` prefetch the stored bytes of W's panel that begins at row `first`; past the end
// there are none.
inline void set_next(const WeightView& w, int64_t first, PanelProduct& product) {
  if (first >= w.rows) return;
  const WeightView panel =
      w.slice(first, w.rows - first < kPanelRows ? w.rows - first : kPanelRows);
  product.next = static_cast<const std::byte*>(panel.blocks);
  product.next_bytes = row_bytes(w.type, w.columns) * panel.rows;
}

// Stores W [count · rows, columns] as panels, matrix by matrix, by all threads: `to` has
// store_bytes bytes, and no page of it is touched twice. (Loading 2.7 GB, Q8_0, by 2 threads, in
// turns: 0.81 s with one panel for each task and values unpacked, 0.39 now, of which zeroing takes
// half; Xeon with AMX, 2026-11-26.) Returns whether all values of W are finite, which costs little
// beside packing them.
size_t store_bytes(const PackedProduct& product, const WeightView& w, int64_t count);
bool store_panels(const PackedProduct& product, const WeightView& w, int64_t count, std::byte* to,
                  ThreadPool& pool);

// Rows of bf16 values that are to be weighted and summed: [terms, count], `stride` elements apart,
// count ≤ kPanelRows.
struct ValueRows {
  const uint16_t* data;
  int64_t stride, terms, count;
  float most = 0;  // the greatest |value|, if known
};

}  // namespace potluck::cpu
