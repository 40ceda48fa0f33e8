#include "kernels/cpu/packed/packed_product.h"

#include <algorithm>

#include "kernels/cpu/machine/pages.h"
#include "topology/base/check.h"
#if defined(__x86_64__)
#include "kernels/cpu/packed/amx.h"
#include "kernels/cpu/packed/avx2.h"
#include "kernels/cpu/packed/avx512.h"
#endif

namespace potluck::cpu {
namespace {

constexpr size_t kStoreTask = 2 * Pages::kHugePage;  // bytes of stored panels

}  // namespace

#if defined(__x86_64__)
namespace {

const PackedProduct& avx2_product(DType type, Use use) {
  const bool fine = use == Use::fine || use == Use::finest;
  const PackedProduct* integers = fine ? nullptr : avx2::int8_product(type);
  if (!integers) integers = avx2::int16_product(type);
  return integers ? *integers : avx2::float_product();
}

const PackedProduct& avx512_product(DType type, Use use) {
  const bool fine = use == Use::fine || use == Use::finest;
  const PackedProduct* integers = avx512::int8_product(type, fine);
  return integers ? *integers : avx512::int16_product();
}

// Tiles of bf16 but where W must not be rounded.
const PackedProduct& amx_product(DType type, Use use) {
  if (use == Use::finest) return amx::int16_product();
  const PackedProduct* integers = amx::stored_product(type, use == Use::fine);
  return integers ? *integers : amx::bf16_product(use == Use::fine);
}

}  // namespace
#endif

const PackedProduct& packed_product(Isa isa, DType type, Use use) {
#if defined(__x86_64__)
  if (isa == Isa::amx) return amx_product(type, use);
  if (isa == Isa::avx512) return avx512_product(type, use);
  if (isa == Isa::avx2) return avx2_product(type, use);
#endif
  CHECK(false, isa_name(isa), dtype_name(type), static_cast<int>(use));
  __builtin_unreachable();
}

size_t store_bytes(const PackedProduct& product, const WeightView& w, int64_t count) {
  return static_cast<size_t>(count * panel_count(w.rows / count)) * product.stored_bytes(w.columns);
}

// A task stores panels that lie side by side and fill huge pages: two threads that meet in a
// page that nobody has touched both zero one, and one of the two is thrown away.
void store_panels(const PackedProduct& product, const WeightView& w, int64_t count, std::byte* to,
                  ThreadPool& pool) {
  const int64_t rows = w.rows / count, panels = panel_count(rows);
  const size_t bytes = product.stored_bytes(w.columns);
  const auto together = static_cast<int64_t>(std::max<size_t>(1, kStoreTask / bytes));
  pool.for_each((count * panels + together - 1) / together, [&](int64_t task, int) {
    const int64_t end = std::min((task + 1) * together, count * panels);
    for (int64_t i = task * together; i < end; ++i) {
      const int64_t first = i % panels * kPanelRows;
      product.store_panel(w.slice(i / panels * rows + first, std::min(kPanelRows, rows - first)),
                          to + static_cast<size_t>(i) * bytes);
    }
  });
}

void widen_bf16(Isa isa, DType type, const void* blocks, int64_t values, uint16_t* out) {
#if defined(__x86_64__)
  if (isa == Isa::amx) return amx::widen_bf16(type, blocks, values, out);
  if (isa == Isa::avx512) return avx512::widen_bf16(type, blocks, values, out);
  if (isa == Isa::avx2) return avx2::widen_bf16(type, blocks, values, out);
#endif
  CHECK(false, isa_name(isa), dtype_name(type), blocks, values, static_cast<void*>(out));
}

void pack_value_panel(Isa isa, const ValueRows& values, std::byte* panel) {
#if defined(__x86_64__)
  if (isa == Isa::amx) return amx::pack_value_panel(values, panel);
  if (isa == Isa::avx512) return avx512::pack_value_panel(values, panel);
  if (isa == Isa::avx2) return avx2::pack_value_panel(values, panel);
#endif
  CHECK(false, isa_name(isa), values.terms, static_cast<void*>(panel));
}

}  // namespace potluck::cpu
