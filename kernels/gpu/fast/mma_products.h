// Single products of the matrix units, by which a test finds out whether a card holds a warp's
// values where device/gpu.h says. Cards without such units multiply in the same layout of memory.
#pragma once

#include <cstdint>

namespace potluck::gpu {

// It says what the code of this card was compiled for.
struct MmaShapeOf {
  int32_t has_mma;
  int32_t columns, f16_depth, s8_depth;
};

// shape[0] is written; one block.
struct MmaShape {
  MmaShapeOf* shape;
};

// A block takes two products: the grid is products / 2, and products are even.
inline constexpr int kMmaProductsOfBlock = 2;

// c[p] = a[p] · b[p].  a: [products, 16, f16_depth] f16, b: [products, f16_depth, columns] f16,
// c: [products, 16, columns] f32.
struct MmaF16Products {
  const uint16_t *a, *b;
  float* c;
};

// The same of int8.  a: [products, 16, s8_depth], b: [products, s8_depth, columns], c: int32.
struct MmaS8Products {
  const int8_t *a, *b;
  int32_t* c;
};

}  // namespace potluck::gpu
