// Blocks of 64 threads. What a right kernel would do stands beside what is wrong where it is not
// plain to see.
#include "tests/emulator/planted_kernels.h"

#include "kernels/gpu/device/gpu.h"

namespace potluck::gpu {

GPU_KERNEL(half_a_barrier, Planted, kPlantedThreads) {
  if (thread() < 32) barrier();
  a.out[thread()] = 1;
}

GPU_KERNEL(two_barriers, Planted, kPlantedThreads) {
  if (thread() < 32)
    barrier();
  else
    barrier();
  a.out[thread()] = 1;
}

GPU_KERNEL(missing_lane, Planted, kPlantedThreads) {
  if (thread() != 37) a.out[thread()] = shuffle(thread(), 0);
  barrier();
}

GPU_KERNEL(ended_lane, Planted, kPlantedThreads) {
  if (lane() == 3) return;
  warp_sync();
}

GPU_KERNEL(different_exchanges, Planted, kPlantedThreads) {
  a.out[thread()] = lane() < 16 ? shuffle(thread(), 0) : ballot(true);
}

// The first half is written, and all is read.
GPU_KERNEL(unwritten_read, Planted, kPlantedThreads) {
  GPU_SHARED(float, values, [kPlantedThreads]);
  if (thread() < 32) values[thread()] = 1;
  barrier();
  a.out[thread()] = values[thread()];
}

GPU_KERNEL(overrun, Planted, kPlantedThreads) {
  GPU_SHARED(float, values, [kPlantedThreads]);
  GPU_SHARED(float, others, [kPlantedThreads]);
  others[thread()] = 2;
  float* to = values;
  to[thread() + 1] = 1;
  barrier();
  a.out[thread()] = others[thread()];
}

GPU_KERNEL(underrun, Planted, kPlantedThreads) {
  GPU_SHARED(float, values, [kPlantedThreads]);
  float* to = values;
  to[thread() - 1] = 1;
}

GPU_KERNEL(kept_pointer, Planted, kPlantedThreads) {
  static float* kept = nullptr;
  GPU_SHARED(float, values, [kPlantedThreads]);
  if (!kept) kept = values;
  kept[thread()] = 1;
}

GPU_KERNEL(written_operands, Planted, kPlantedThreads) {
  if (thread() == 0) const_cast<Planted&>(a).out = nullptr;
}

GPU_KERNEL(too_much_shared, Planted, kPlantedThreads) {
  GPU_SHARED(float, values, [8 << 10]);
  GPU_SHARED(float, others, [(4 << 10) + 1]);
  values[thread()] = others[thread()] = 1;
}

GPU_KERNEL(missing_barrier, Planted, kPlantedThreads) {
  GPU_SHARED(float, values, [kPlantedThreads]);
  values[thread()] = thread();
  a.out[block_x() * kPlantedThreads + thread()] = values[(thread() + 32) % kPlantedThreads];
}

GPU_KERNEL(missing_warp_sync, Planted, kPlantedThreads) {
  GPU_SHARED(float, values, [kPlantedThreads]);
  values[thread()] = thread();
  a.out[block_x() * kPlantedThreads + thread()] = values[thread() ^ 1];
}

GPU_KERNEL(last_block_wins, Planted, kPlantedThreads) {
  a.out[thread()] = block_x();
}

// Each thread puts its number, in the order in which they come.
GPU_KERNEL(arrivals, Planted, kPlantedThreads) {
  barrier();
  a.out[atomic_add(a.counter, 1)] = block_x() * kPlantedThreads + thread();
}

GPU_KERNEL(early_copy, Planted, kPlantedThreads) {
  GPU_SHARED(float, values, [kPlantedThreads][4]);
  copy16(values[thread()], a.a + thread() * 16);
  commit_copies();
  a.out[thread()] = values[thread()][0];
  wait_copies<0>();
}

GPU_KERNEL(forgotten_copy, Planted, kPlantedThreads) {
  GPU_SHARED(float, values, [kPlantedThreads][4]);
  copy16(values[thread()], a.a + thread() * 16);
  commit_copies();
  wait_copies<1>();
}

GPU_KERNEL(skewed_copy, Planted, kPlantedThreads) {
  GPU_SHARED(float, values, [kPlantedThreads + 1][4]);
  copy16(&values[thread()][1], a.a + thread() * 16);
  commit_copies();
  wait_copies<0>();
}

GPU_KERNEL(stray_copy, Planted, kPlantedThreads) {
  GPU_SHARED(float, values, [kPlantedThreads][4]);
  copy16(values[0] + (thread() + 1) * 4, a.a + thread() * 16);
  commit_copies();
  wait_copies<0>();
}

GPU_KERNEL(overwritten_copy, Planted, kPlantedThreads) {
  GPU_SHARED(float, values, [kPlantedThreads][4]);
  copy16(values[thread()], a.a + thread() * 16);
  commit_copies();
  values[thread()][0] = 1;
  wait_copies<0>();
}

// Right: the first of two groups has landed while the second is on its way; zeros stand for what
// lies outside.
GPU_KERNEL(piped_copies, Planted, kPlantedThreads) {
  GPU_SHARED(float, values, [2][kPlantedThreads][4]);
  for (int half = 0; half < 2; ++half) {
    copy16(values[half][thread()], a.a + (half * kPlantedThreads + thread()) * 16, thread() != 5);
    commit_copies();
  }
  wait_copies<1>();
  barrier();
  for (int i = 0; i < 4; ++i)
    a.out[thread() * 4 + i] = values[0][(thread() + 40) % kPlantedThreads][i];
  wait_copies<0>();
  a.out[kPlantedThreads * 4 + thread()] = values[1][thread()][0];
}

GPU_KERNEL(unequal_halves, Planted, kPlantedThreads) {
  float sums[kMmaSums] = {};
  uint32_t in_a[kMmaF16A] = {}, in_b[kMmaF16B] = {};
  in_b[0] = thread() == 20;
  mma_f16(sums, in_a, in_b);
}

// Word w of a row of `depth` values of `bytes` bytes.
GPU_DEVICE uint32_t word_at(const uint8_t* from, int row, int depth, int bytes, int w) {
  return reinterpret_cast<const uint32_t*>(from)[row * (depth * bytes / 4) + w];
}

// Right: out[16, kMmaColumns] = a [16, depth] · (b [kMmaColumns, depth])ᵀ + 1, by each warp.
GPU_KERNEL(multiply_f16, Planted, kPlantedThreads) {
  float sums[kMmaSums];
  uint32_t in_a[kMmaF16A], in_b[kMmaF16B];
  for (float& sum : sums) sum = 1;
  for (int w = 0; w < kMmaF16A; ++w)
    in_a[w] = word_at(a.a, mma_a_row(lane(), w), kMmaF16Depth, 2, mma_a_depth(lane(), w));
  for (int w = 0; w < kMmaF16B; ++w)
    in_b[w] = word_at(a.b, mma_b_column(lane()), kMmaF16Depth, 2, mma_b_depth(lane(), w));
  mma_f16(sums, in_a, in_b);
  float* out = a.out + warp() * kMmaRows * kMmaColumns;
  for (int i = 0; i < kMmaSums; ++i)
    out[mma_c_row(lane(), i) * kMmaColumns + mma_c_column(lane(), i)] = sums[i];
}

GPU_KERNEL(multiply_s8, Planted, kPlantedThreads) {
  int32_t sums[kMmaSums];
  uint32_t in_a[kMmaS8A], in_b[kMmaS8B];
  for (int32_t& sum : sums) sum = 1;
  for (int w = 0; w < kMmaS8A; ++w)
    in_a[w] = word_at(a.a, mma_a_row(lane(), w), kMmaS8Depth, 1, mma_a_depth(lane(), w));
  for (int w = 0; w < kMmaS8B; ++w)
    in_b[w] = word_at(a.b, mma_b_column(lane()), kMmaS8Depth, 1, mma_b_depth(lane(), w));
  mma_s8(sums, in_a, in_b);
  float* out = a.out + warp() * kMmaRows * kMmaColumns;
  for (int i = 0; i < kMmaSums; ++i)
    out[mma_c_row(lane(), i) * kMmaColumns + mma_c_column(lane(), i)] = sums[i];
}

GPU_KERNEL(stray_shuffle, Planted, kPlantedThreads) {
  a.out[thread()] = shuffle(thread(), lane() + 1);
}

// Each warp loads its rows of 8 values as four matrices, and puts the words that its lanes get.
template <bool kTransposed>
GPU_DEVICE void load_and_put(const Planted& a, Words4 (&rows)[kPlantedThreads]) {
  rows[thread()] = as<const Words4>(a.a)[thread()];
  warp_sync();
  uint32_t words[4];
  load_matrices<kTransposed>(words, &rows[thread()]);
  for (int m = 0; m < 4; ++m) as<uint32_t>(a.out)[thread() * 4 + m] = words[m];
}

GPU_KERNEL(load_plain, Planted, kPlantedThreads) {
  GPU_SHARED(Words4, rows, [kPlantedThreads]);
  load_and_put<false>(a, rows);
}

GPU_KERNEL(load_transposed, Planted, kPlantedThreads) {
  GPU_SHARED(Words4, rows, [kPlantedThreads]);
  load_and_put<true>(a, rows);
}

GPU_KERNEL(skewed_matrix, Planted, kPlantedThreads) {
  GPU_SHARED(Words4, rows, [kPlantedThreads + 1]);
  uint32_t words[4];
  load_matrices<false>(words, &rows[thread()].word[thread() == 7]);
}

GPU_KERNEL(stray_matrix, Planted, kPlantedThreads) {
  GPU_SHARED(Words4, rows, [kPlantedThreads]);
  uint32_t words[4];
  load_matrices<false>(words, rows + 1 + thread());
}

}  // namespace potluck::gpu
