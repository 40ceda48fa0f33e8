// Where the lanes of a warp hold the matrices that they multiply, and what multiplies and loads
// them. gpu.h, which has the cards' own part, ends with it.
#pragma once

#include <cstdint>

namespace potluck::gpu {

// Products of matrices by the 32 lanes of a warp, which only cards that kHasMma may call (a call
// compiles for all): c += a · b with a [16, depth],
// b [depth, kMmaColumns] and c [16, kMmaColumns], where the depth is kMmaF16Depth or kMmaS8Depth.
//   mma_f16(float (&c)[kMmaSums], const uint32_t (&a)[kMmaF16A], const uint32_t (&b)[kMmaF16B])
//   mma_s8(int32_t (&c)[kMmaSums], const uint32_t (&a)[kMmaS8A], const uint32_t (&b)[kMmaS8B])
// A word holds 2 values of f16, or 4 of int8, that follow each other in the depth; the functions
// below say where a lane's words and sums lie, and are the same for both types. c is summed in f32
// in an order that is the card's.
constexpr int kMmaRows = 16;
constexpr int kMmaSums = kMmaRows * kMmaColumns / 32;
constexpr int kMmaF16A = kMmaMirrors ? 8 : 4, kMmaF16B = kMmaMirrors ? 8 : 2;
constexpr int kMmaS8A = 4, kMmaS8B = kMmaMirrors ? 4 : 2;

GPU_DEVICE int mma_a_row(int lane, int word) {
  return kMmaMirrors ? lane % 16 : lane / 4 + word % 2 * 8;
}
// Counted in words.
GPU_DEVICE int mma_a_depth(int lane, int word) {
  return kMmaMirrors ? word : lane % 4 + word / 2 * 4;
}
GPU_DEVICE int mma_b_depth(int lane, int word) {
  return kMmaMirrors ? word : lane % 4 + word * 4;
}
GPU_DEVICE int mma_b_column(int lane) {
  return kMmaMirrors ? lane % 16 : lane / 4;
}
GPU_DEVICE int mma_c_row(int lane, int sum) {
  return kMmaMirrors ? 2 * sum + lane / 16 : lane / 4 + sum / 2 * 8;
}
GPU_DEVICE int mma_c_column(int lane, int sum) {
  return kMmaMirrors ? lane % 16 : lane % 4 * 2 + sum % 2;
}

// load_matrices<kTransposed>(uint32_t (&to)[4], const void* row) is for cards that kHasMma and
// whose lanes do not mirror. It loads four matrices of 8 × 8 values of 16 bits from shared memory:
// lane l gives row l % 8 of matrix l / 8, 16 bytes that begin at a multiple of 16. to[m] has of
// matrix m the values (l / 4, 2·(l % 4)) and (l / 4, 2·(l % 4) + 1), or those of its transpose.

}  // namespace potluck::gpu
