// A warp multiplies: it gathers its words from memory by the functions that say where a lane's
// values belong, and stores its sums by them. What was copied to shared memory is read by another
// thread than the one that copied it.
#include "kernels/gpu/device/gpu.h"
#include "kernels/gpu/fast/mma_products.h"

namespace potluck::gpu {

constexpr int kMmaProductsThreads = 32 * kMmaProductsOfBlock;

GPU_KERNEL(mma_shape, MmaShape, kMmaProductsThreads) {
  if (thread() == 0) a.shape[0] = {kHasMma, kMmaColumns, kMmaF16Depth, kMmaS8Depth};
}

// The word of `kValues` values of a row of A [16, depth] or, by their stride, of a column of B.
template <typename Bits, typename Value>
GPU_DEVICE uint32_t gather_word(const Value* first, int stride) {
  constexpr int kValues = 4 / sizeof(Value);
  uint32_t word = 0;
  GPU_UNROLL
  for (int i = 0; i < kValues; ++i) {
    const Bits bits = first[i * stride];
    word |= uint32_t{bits} << (i * 32 / kValues);
  }
  return word;
}

// The words of a lane: a[i] and b[i] of a product whose depth is kDepth.
template <typename Bits, int kDepth, typename Value, int kA, int kB>
GPU_DEVICE void gather(const Value* in_a, const Value* in_b, uint32_t (&a)[kA], uint32_t (&b)[kB]) {
  constexpr int kValues = 4 / sizeof(Value);
  GPU_UNROLL
  for (int i = 0; i < kA; ++i)
    a[i] = gather_word<Bits>(
        in_a + mma_a_row(lane(), i) * kDepth + mma_a_depth(lane(), i) * kValues, 1);
  GPU_UNROLL
  for (int i = 0; i < kB; ++i)
    b[i] = gather_word<Bits>(
        in_b + mma_b_depth(lane(), i) * kValues * kMmaColumns + mma_b_column(lane()), kMmaColumns);
}

GPU_DEVICE int64_t product_of_warp() {
  return int64_t{block_x()} * kMmaProductsOfBlock + warp();
}

GPU_KERNEL(mma_f16_products, MmaF16Products, kMmaProductsThreads) {
  const int64_t p = product_of_warp();
  const uint16_t* in_a = a.a + p * kMmaRows * kMmaF16Depth;
  const uint16_t* in_b = a.b + p * kMmaF16Depth * kMmaColumns;
  float* out = a.c + p * kMmaRows * kMmaColumns;
  if constexpr (kHasMma) {
    uint32_t words_a[kMmaF16A], words_b[kMmaF16B];
    gather<uint16_t, kMmaF16Depth>(in_a, in_b, words_a, words_b);
    float sums[kMmaSums] = {};
    mma_f16(sums, words_a, words_b);
    GPU_UNROLL
    for (int i = 0; i < kMmaSums; ++i)
      out[mma_c_row(lane(), i) * kMmaColumns + mma_c_column(lane(), i)] = sums[i];
  } else {
    for (int i = lane(); i < kMmaRows * kMmaColumns; i += 32) {
      float sum = 0;
      for (int k = 0; k < kMmaF16Depth; ++k)
        sum = fma(f16_to_float(in_a[i / kMmaColumns * kMmaF16Depth + k]),
                  f16_to_float(in_b[k * kMmaColumns + i % kMmaColumns]), sum);
      out[i] = sum;
    }
  }
}

GPU_KERNEL(mma_s8_products, MmaS8Products, kMmaProductsThreads) {
  const int64_t p = product_of_warp();
  const int8_t* in_a = a.a + p * kMmaRows * kMmaS8Depth;
  const int8_t* in_b = a.b + p * kMmaS8Depth * kMmaColumns;
  int32_t* out = a.c + p * kMmaRows * kMmaColumns;
  if constexpr (kHasMma) {
    uint32_t words_a[kMmaS8A], words_b[kMmaS8B];
    gather<uint8_t, kMmaS8Depth>(in_a, in_b, words_a, words_b);
    int32_t sums[kMmaSums] = {};
    mma_s8(sums, words_a, words_b);
    GPU_UNROLL
    for (int i = 0; i < kMmaSums; ++i)
      out[mma_c_row(lane(), i) * kMmaColumns + mma_c_column(lane(), i)] = sums[i];
  } else {
    for (int i = lane(); i < kMmaRows * kMmaColumns; i += 32) {
      int sum = 0;
      for (int k = 0; k < kMmaS8Depth; k += 4) {
        const uint32_t x = gather_word<uint8_t>(in_a + i / kMmaColumns * kMmaS8Depth + k, 1);
        const uint32_t y =
            gather_word<uint8_t>(in_b + k * kMmaColumns + i % kMmaColumns, kMmaColumns);
        sum = dot4(x, y, sum);
      }
      out[i] = sum;
    }
  }
}

template <bool kTransposed>
GPU_DEVICE void store_matrices(const Words4* rows, uint32_t* out) {
  uint32_t words[4];
  load_matrices<kTransposed>(words, &rows[lane()]);
  GPU_UNROLL
  for (int m = 0; m < 4; ++m)
    if (warp() == 0) out[lane() * 4 + m] = words[m];
}

GPU_KERNEL(matrix_loads, MatrixLoads, kMmaProductsThreads) {
  GPU_SHARED(Words4, rows, [32]);
  if constexpr (kHasMma && !kMmaMirrors) {
    if (warp() == 1)  // for another warp
      for (int i = 0; i < 8; ++i) as<uint16_t>(&rows[lane()])[i] = lane() * 8 + i;
    barrier();
    store_matrices<false>(rows, a.words);
    store_matrices<true>(rows, a.words + 32 * 4);
  }
}

// Groups up to `group` have landed.
template <int kGroup>
GPU_DEVICE void store_copies(const Words4* words, Words4* to) {
  wait_copies<kCopyGroups - 1 - kGroup>();
  barrier();
  const int other = kGroup * kSharedCopyThreads + kSharedCopyThreads - 1 - thread();
  to[other] = words[other];
}

GPU_KERNEL(shared_copies, SharedCopies, kMmaProductsThreads) {
  GPU_SHARED(Words4, words, [kCopyGroups * kSharedCopyThreads]);
  for (int group = 0; group < kCopyGroups; ++group) {
    const int i = group * kSharedCopyThreads + thread();
    copy16(&words[i], as<const Words4>(a.from) + i, is_copied(group, thread()));
    commit_copies();
  }
  store_copies<0>(words, as<Words4>(a.to));
  store_copies<1>(words, as<Words4>(a.to));
  store_copies<2>(words, as<Words4>(a.to));
}

}  // namespace potluck::gpu
