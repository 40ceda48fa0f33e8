// Loops that do nothing but what is measured, with enough of it in flight. Sums begin with
// different values, or a compiler would see that they are one.
#include "kernels/gpu/device/gpu.h"
#include "kernels/gpu/fast/peaks.h"

namespace potluck::gpu {

constexpr int kSumsAtOnce = 8;  // that do not wait for each other

GPU_DEVICE int64_t place_of_thread() {
  return int64_t{block_x()} * kPeakThreads + thread();
}

GPU_KERNEL(peak_read, PeakRead, kPeakThreads) {
  uint32_t sum = 0;
  int64_t slice = block_x() % a.slices;
  for (int pass = 0; pass < a.passes; ++pass) {
    const Words4* from = as<const Words4>(a.from) + slice * a.slice_words;
    for (int64_t i = thread(); i < a.slice_words; i += kPeakWords) {
      GPU_UNROLL
      for (int part = 0; part < 4; ++part) {
        const Words4 word = from[i + part * kPeakThreads];
        sum ^= word.word[0] ^ word.word[1] ^ word.word[2] ^ word.word[3];
      }
    }
    slice = (slice + a.step) % a.slices;
  }
  a.out[place_of_thread()] = sum;
}

// Words that are read one by one stay in registers.
GPU_DEVICE Words4 load_words(const Words4& from) {
  return {from.word[0], from.word[1], from.word[2], from.word[3]};
}

GPU_KERNEL(peak_copy, PeakCopy, kPeakThreads) {
  const int64_t first = int64_t{block_x()} * kPeakWords + thread();
  Words4 words[4];
  GPU_UNROLL
  for (int i = 0; i < 4; ++i)
    words[i] = load_words(as<const Words4>(a.from)[first + i * kPeakThreads]);
  GPU_UNROLL
  for (int i = 0; i < 4; ++i) as<Words4>(a.to)[first + i * kPeakThreads] = words[i];
}

GPU_DEVICE void count_operations(int64_t* operations, int64_t of_a_warp, int rounds) {
  if (block_x() == 0 && thread() == 0)
    operations[0] = of_a_warp * (kPeakThreads / 32) * kSumsAtOnce * rounds;
}

// Lanes that mirror each other hold the same words.
GPU_KERNEL(peak_f16, PeakF16, kPeakThreads) {
  const uint32_t halves = 0x3c003800u + lane() % 16;
  float total = 0;
  if constexpr (kHasMma) {
    float sums[kSumsAtOnce][kMmaSums];
    GPU_UNROLL
    for (int s = 0; s < kSumsAtOnce * kMmaSums; ++s) sums[s / kMmaSums][s % kMmaSums] = s;
    uint32_t x[kMmaF16A], w[kMmaF16B];
    GPU_UNROLL
    for (uint32_t& word : x) word = halves;
    GPU_UNROLL
    for (uint32_t& word : w) word = halves;
    for (int round = 0; round < a.rounds; ++round) {
      GPU_UNROLL
      for (int s = 0; s < kSumsAtOnce; ++s) mma_f16(sums[s], x, w);
    }
    GPU_UNROLL
    for (int s = 0; s < kSumsAtOnce * kMmaSums; ++s) total += sums[s / kMmaSums][s % kMmaSums];
    count_operations(a.operations, 2 * kMmaRows * kMmaColumns * kMmaF16Depth, a.rounds);
  } else {
    float sums[kSumsAtOnce];
    GPU_UNROLL
    for (int s = 0; s < kSumsAtOnce; ++s) sums[s] = s;
    const float x = f16_to_float(halves & 0xffff);
    for (int round = 0; round < a.rounds; ++round) {
      GPU_UNROLL
      for (int s = 0; s < kSumsAtOnce; ++s) sums[s] = fma(sums[s], x, x);
    }
    GPU_UNROLL
    for (int s = 0; s < kSumsAtOnce; ++s) total += sums[s];
    count_operations(a.operations, 2 * 32, a.rounds);
  }
  a.out[place_of_thread()] = total;
}

GPU_KERNEL(peak_s8, PeakS8, kPeakThreads) {
  const uint32_t bytes = 0x01020304u + lane() % 16;
  uint32_t total = 0;
  if constexpr (kHasMma) {
    int32_t sums[kSumsAtOnce][kMmaSums];
    GPU_UNROLL
    for (int s = 0; s < kSumsAtOnce * kMmaSums; ++s) sums[s / kMmaSums][s % kMmaSums] = s;
    uint32_t x[kMmaS8A], w[kMmaS8B];
    GPU_UNROLL
    for (uint32_t& word : x) word = bytes;
    GPU_UNROLL
    for (uint32_t& word : w) word = bytes;
    for (int round = 0; round < a.rounds; ++round) {
      GPU_UNROLL
      for (int s = 0; s < kSumsAtOnce; ++s) mma_s8(sums[s], x, w);
    }
    GPU_UNROLL
    for (int s = 0; s < kSumsAtOnce * kMmaSums; ++s) total += sums[s / kMmaSums][s % kMmaSums];
    count_operations(a.operations, 2 * kMmaRows * kMmaColumns * kMmaS8Depth, a.rounds);
  } else {
    int sums[kSumsAtOnce];
    GPU_UNROLL
    for (int s = 0; s < kSumsAtOnce; ++s) sums[s] = s;
    for (int round = 0; round < a.rounds; ++round) {
      GPU_UNROLL
      for (int s = 0; s < kSumsAtOnce; ++s) sums[s] = dot4(bytes, sums[s], sums[s]);
    }
    GPU_UNROLL
    for (int s = 0; s < kSumsAtOnce; ++s) total += sums[s];
    count_operations(a.operations, 8 * 32, a.rounds);
  }
  a.out[place_of_thread()] = total;
}

}  // namespace potluck::gpu
