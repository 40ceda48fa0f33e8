// Cuts a stored matrix by rows.
#include "kernels/cpu/reference/weight_view.h"

#include <cstddef>

#include "topology/base/check.h"

namespace potluck::cpu {

WeightView WeightView::slice(int64_t first, int64_t count) const {
  CHECK(first >= 0 && first + count <= rows, first, count, rows);
  const auto* bytes = static_cast<const std::byte*>(blocks);
  return {type, bytes + row_bytes(type, columns) * first, count, columns};
}

}  // namespace potluck::cpu
