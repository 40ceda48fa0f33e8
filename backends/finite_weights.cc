// Says where a value that is not finite was found.
#include "backends/finite_weights.h"

#include <algorithm>
#include <atomic>
#include <string>

#include "kernels/cpu/reference/finite.h"
#include "topology/base/fault.h"
#include "topology/base/text.h"

namespace potluck {
namespace {

constexpr int64_t kTaskBytes = 4 << 20;  // that a thread reads at a time

}  // namespace

void check_block(const cpu::WeightView& w, int64_t block) {
  if (block < 0) return;
  const BlockShape shape = block_shape(w.type);
  const auto* at = static_cast<const std::byte*>(w.blocks) + block * shape.bytes;
  const char* what = shape.values == 1 ? "value " : "block ";
  const char* holds = shape.values == 1 ? ") is " : ") has the scale ";
  throw Fault(FaultKind::input,
              what + std::to_string(block) + " (" + dtype_name(w.type) + ", row " +
                  std::to_string(block / (w.columns / shape.values)) + holds +
                  number_text(cpu::not_finite_value(w.type, at)),
              Fix{"whoever made the file divided by zero: take another file of the model"});
}

void check_finite(const cpu::WeightView& w, cpu::ThreadPool& pool) {
  const int64_t bytes = row_bytes(w.type, w.columns);
  const int64_t rows = std::max<int64_t>(1, kTaskBytes / bytes);
  std::atomic<int64_t> bad = w.rows;  // the first task of rows that has one
  const int64_t tasks = (w.rows + rows - 1) / rows;
  pool.for_each(tasks, [&](int64_t task, int) {
    const int64_t first = task * rows;
    if (cpu::first_not_finite(w.slice(first, std::min(rows, w.rows - first))) < 0) return;
    for (int64_t known = bad; first < known && !bad.compare_exchange_weak(known, first);) continue;
  });
  if (bad == w.rows) return;
  const cpu::WeightView rest = w.slice(bad, w.rows - bad);
  const int64_t blocks = w.columns / block_shape(w.type).values;
  check_block(w, bad * blocks + cpu::first_not_finite(rest));
}

}  // namespace potluck
