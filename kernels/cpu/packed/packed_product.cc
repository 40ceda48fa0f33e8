// Stores the panels of a matrix as it is loaded.
#include "kernels/cpu/packed/packed_product.h"

#include <algorithm>
#include <atomic>

#include "kernels/cpu/machine/pages.h"
#include "kernels/cpu/reference/finite.h"

namespace potluck::cpu {
namespace {

constexpr size_t kStoreTask = 2 * Pages::kHugePage;  // bytes of stored panels

}  // namespace

size_t store_bytes(const PackedProduct& product, const WeightView& w, int64_t count) {
  return (count * panel_count(w.rows / count)) * product.stored_bytes(w.columns);
}

// A task stores panels that lie side by side and fill huge pages: when two threads meet in a page
// that nobody has touched, both zero one, and one of the two is thrown away.
bool store_panels(const PackedProduct& product, const WeightView& w, int64_t count, std::byte* to,
                  ThreadPool& pool) {
  const int64_t rows = w.rows / count, panels = panel_count(rows);
  const size_t bytes = product.stored_bytes(w.columns);
  const int64_t together = std::max<size_t>(1, kStoreTask / bytes);
  std::atomic<bool> finite = true;
  pool.for_each((count * panels + together - 1) / together, [&](int64_t task, int) {
    const int64_t end = std::min((task + 1) * together, count * panels);
    for (int64_t i = task * together; i < end; ++i) {
      const int64_t first = i % panels * kPanelRows;
      const WeightView panel =
          w.slice(i / panels * rows + first, std::min(kPanelRows, rows - first));
      if (first_not_finite(panel) >= 0) finite = false;
      product.store_panel(panel, to + i * bytes);
    }
  });
  return finite;
}

}  // namespace potluck::cpu
