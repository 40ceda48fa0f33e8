// Stored panels met by many rows. A task is some panels of W and, kRows at a time, all rows of x:
// for one slice of columns after another, each panel's slice is multiplied while the next is
// unpacked. So a slice of x stays in L2 while the task's panels meet it, and is read from beyond L2
// once a task; sums of a task's panels, 32 KB each, wait in L2 from slice to slice.
//
// Reading is what decides: beyond L2 a core gets 13 to 17 GB/s here, and two terms of 256 rows of
// 2816 columns are 2.9 MB (Xeon with AMX, 2026-11-26).
#include "kernels/cpu/fast/stored_matmul.h"

#include <algorithm>

#include "kernels/cpu/machine/arena.h"
#include "topology/base/check.h"

namespace potluck::cpu {
namespace {

constexpr int64_t kRows = 256, kPanelsMax = 16;
constexpr int64_t kSlicesMax = 64;

struct Slices {
  int64_t columns, count, each;

  Slices(const PackedProduct& product, int64_t columns_)
      : columns(columns_),
        count((columns + product.slice - 1) / product.slice),
        each(std::min(product.slice, columns)) {}

  int64_t first(int64_t i) const { return i * each; }
  int64_t width(int64_t i) const { return std::min(each, columns - i * each); }
};

struct Scratch {
  PackedRows x[kSlicesMax];  // by slices: [rows]
  float* ones;               // [kRows]
  std::byte* panels;         // two slices of a panel for each thread
  size_t panel_bytes;
};

Scratch take_scratch(const PackedProduct& product, const Slices& slices, int64_t rows, int threads,
                     Arena& arena) {
  CHECK(slices.count <= kSlicesMax, slices.columns);
  Scratch s;
  for (int64_t i = 0; i < slices.count; ++i)
    s.x[i] = take_rows(product, slices.width(i), rows, arena);
  s.ones = arena.take<float>(kRows);
  s.panel_bytes = product.panel_bytes(slices.each);
  s.panels = arena.take<std::byte>(2 * static_cast<size_t>(threads) * s.panel_bytes);
  return s;
}

struct PanelRange {
  int64_t begin, end;
  int64_t count() const { return end - begin; }
};

// One thread's part: it multiplies its panels, slice after slice, by all rows.
class Task final {
 public:
  Task(const PackedProduct& product, const FastMatmul& a, const Slices& slices, const Scratch& s,
       PanelRange panels, int thread)
      : product_(product), a_(a), slices_(slices), s_(s), panels_(panels) {
    for (int i = 0; i < 2; ++i) unpacked_[i] = s.panels + (2 * thread + i) * s.panel_bytes;
  }

  void run() {
    for (int64_t first = 0; first < a_.rows; first += kRows) {
      product_.unpack_panel(slice(0), unpacked_[0]);
      const int64_t pieces = slices_.count * panels_.count();
      for (int64_t piece = 0; piece < pieces; ++piece) {
        const StoredSlice next = piece + 1 < pieces ? slice(piece + 1) : StoredSlice{};
        multiply(piece, first, next);
      }
    }
  }

 private:
  int64_t panel_of(int64_t piece) const { return panels_.begin + piece % panels_.count(); }
  int64_t slice_of(int64_t piece) const { return piece / panels_.count(); }

  StoredSlice slice(int64_t piece) const {
    const int64_t i = slice_of(piece);
    return {static_cast<const std::byte*>(a_.w.blocks) +
                panel_of(piece) * product_.stored_bytes(a_.w.columns),
            a_.w.columns, slices_.first(i), slices_.width(i)};
  }

  void multiply(int64_t piece, int64_t first, const StoredSlice& next) const {
    const int64_t i = slice_of(piece), column = panel_of(piece) * kPanelRows, outputs = a_.w.rows;
    PanelProduct p{s_.x[i].from(first),
                   std::min(kRows, a_.rows - first),
                   unpacked_[piece % 2],
                   slices_.width(i),
                   a_.out + first * outputs + column,
                   outputs,
                   std::min(kPanelRows, outputs - column)};
    p.keep = i > 0 ? s_.ones : nullptr;
    p.work = unpacked_[(piece + 1) % 2];
    product_.multiply_unpacked(p, slice(piece), next);
  }

  const PackedProduct& product_;
  const FastMatmul& a_;
  const Slices& slices_;
  const Scratch& s_;
  const PanelRange panels_;
  std::byte* unpacked_[2];
};

}  // namespace

size_t fast_stored_matmul_scratch(const PackedProduct& product, int64_t columns, int64_t rows_max,
                                  int threads) {
  Arena arena(nullptr);
  take_scratch(product, {product, columns}, rows_max, threads, arena);
  return arena.used();
}

void fast_stored_matmul(const PackedProduct& product, const FastMatmul& a, void* scratch,
                        ThreadPool& pool) {
  const WeightView& w = a.w;
  const Slices slices(product, w.columns);
  Arena arena(scratch);
  const Scratch s = take_scratch(product, slices, a.rows, pool.threads(), arena);
  std::fill_n(s.ones, kRows, 1.0f);
  pool.for_each(a.rows, [&](int64_t t, int) {
    for (int64_t i = 0; i < slices.count; ++i)
      product.pack_row(a.x + t * w.columns + slices.first(i), slices.width(i), s.x[i][t]);
  });
  // Tasks have one size, and each thread gets as many as the others.
  const int64_t panels = panel_count(w.rows), threads = pool.threads();
  const int64_t rounds = (panels + kPanelsMax * threads - 1) / (kPanelsMax * threads);
  const int64_t each = (panels + rounds * threads - 1) / (rounds * threads);
  pool.for_each((panels + each - 1) / each, [&](int64_t i, int thread) {
    Task(product, a, slices, s, {i * each, std::min((i + 1) * each, panels)}, thread).run();
  });
}

}  // namespace potluck::cpu
