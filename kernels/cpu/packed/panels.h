// The packed products share how tiles are cut and panels filled.
//
// All of it has internal linkage: each source compiles it for its own instruction set, and the
// linker must not choose one for all.
#pragma once

#include <cfloat>
#include <cstdint>
#include <cstring>

#include "kernels/cpu/packed/packed_product.h"

namespace potluck::cpu {
namespace {

// Rounds up to an odd number of cache lines, so that rows side by side fall into different sets.
constexpr size_t odd_lines(size_t bytes) {
  return (((bytes + 63) / 64) | 1) * 64;
}

// Spreads the prefetch of PanelProduct::next over `steps` steps.
class Prefetch final {
 public:
  Prefetch(const PanelProduct& p, int64_t steps)
      : at_(p.next), end_(p.next + p.next_bytes), bytes_(p.next_bytes / steps / 64 * 64 + 64) {}

  void step() {
    const std::byte* until = at_ + bytes_ < end_ ? at_ + bytes_ : end_;
    for (; at_ < until; at_ += 64) __builtin_prefetch(at_, 0, 1);  // to L2
  }

 private:
  const std::byte *at_, *end_;
  size_t bytes_;
};

// The addresses of a tile's packed rows, where a loop finds them.
template <int kRows>
struct TileRows {
  const std::byte* at[kRows];
  TileRows(const PanelProduct& p, int64_t first) {
    for (int r = 0; r < kRows; ++r) at[r] = p.x[first + r];
  }
};

// Values up to `most` are multiplied by this before they are rounded. It is finite: where a step
// were no normal float, values are so small that they may as well come out smaller still.
inline float inverse_step(float most, float reach) {
  const float least = reach * FLT_MIN;
  return reach / (most > least ? most : least);
}

constexpr int64_t tile_count(int64_t rows, int rows_max) {
  return (rows + rows_max - 1) / rows_max;
}

// Cuts rows into tiles of at most kRowsMax, as even as can be, and calls body<tile rows>(first
// row).
template <int kRowsMax, typename Body>
inline __attribute__((always_inline)) void each_tile(int64_t rows, const Body& body) {
  int64_t first = 0;
  for (int64_t tiles = tile_count(rows, kRowsMax); tiles > 0; --tiles) {
    const int64_t count = (rows - first + tiles - 1) / tiles;
    const auto run = [&]<int kRows>(const auto& self) {
      if (count == kRows) return body.template operator()<kRows>(first);
      if constexpr (kRows > 1) return self.template operator()<kRows - 1>(self);
    };
    run.template operator()<kRowsMax>(run);
    first += count;
  }
}

constexpr int64_t kStaged = 256;  // values of a row dequantized at a time: a block of any type

// Dequantizes values [first, first + n) of each row of w, by dequantize(blocks, n, to), to `stage`
// [kPanelRows][kStaged], with zeros behind them up to `padded`.
template <typename Value, typename Dequantize>
inline void stage_rows(const WeightView& w, int64_t first, int64_t n, int64_t padded, Value* stage,
                       const Dequantize& dequantize) {
  const BlockShape shape = block_shape(w.type);
  const size_t row = row_bytes(w.type, w.columns);
  const auto offset = first / shape.values * shape.bytes;
  const auto* bytes = static_cast<const std::byte*>(w.blocks);
  for (int64_t c = 0; c < w.rows; ++c) {
    Value* to = stage + c * kStaged;
    dequantize(bytes + c * row + offset, n, to);
    std::memset(to + n, 0, (padded - n) * sizeof(*to));
  }
}

}  // namespace
}  // namespace potluck::cpu
