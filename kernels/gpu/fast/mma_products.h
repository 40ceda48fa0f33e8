// Single products of the matrix units, and single loads and copies of shared memory, by which a
// test finds out whether a card holds a warp's values where device/gpu.h says. Cards without such
// units multiply in the same layout of memory.
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

// load_matrices brings words to the lanes of a warp out of four matrices [4, 8, 8] whose values are
// their own numbers, 0 … 255: words [2, 32, 4], as the matrices lie and transposed. One block; only
// for cards that load matrices.
struct MatrixLoads {
  uint32_t* words;
};

inline constexpr int kCopyGroups = 3, kSharedCopyThreads = 64;
// Whether thread t has anything to bring in a group.
constexpr bool is_copied(int group, int t) {
  return (t + group) % 5 != 0;
}

// A thread brings a word of 16 bytes by copy16 in each of kCopyGroups groups, or zeros, and waits
// for one group more before each of `to`: from and to [groups, kSharedCopyThreads]. One block.
struct SharedCopies {
  const uint8_t* from;
  uint8_t* to;
};

}  // namespace potluck::gpu
