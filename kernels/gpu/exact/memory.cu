// A thread copies by words where both ends allow it, and draws eight halves at once.
#include "kernels/gpu/device/gpu.h"
#include "kernels/gpu/exact/memory.h"
#include "kernels/noise/philox.h"

namespace potluck::gpu {

constexpr int kCopyThreads = 256;

GPU_KERNEL(fill, Fill, kFillWords) {
  const int64_t i = int64_t{block_x()} * kFillWords + thread();
  if (i < a.count) a.to[i] = a.word;
}

GPU_KERNEL(copy, Copy, kCopyThreads) {
  const int64_t begin = int64_t{block_x()} * kCopyBytes;
  const int64_t end = begin + kCopyBytes < a.count ? begin + kCopyBytes : a.count;
  const auto ends = reinterpret_cast<uint64_t>(a.from) | reinterpret_cast<uint64_t>(a.to);
  const int64_t words = ends % 4 ? 0 : (end - begin) / 4;
  const auto* from = as<const uint32_t>(a.from + begin);
  auto* to = as<uint32_t>(a.to + begin);
  for (int64_t i = thread(); i < words; i += kCopyThreads) to[i] = from[i];
  for (int64_t i = begin + words * 4 + thread(); i < end; i += kCopyThreads) a.to[i] = a.from[i];
}

// The half at byte `at` of a block, out of 16 random bits.
GPU_DEVICE uint16_t drawn_half(const Draw& a, int at, uint32_t bits) {
  const float share = bits * 0x1p-16f;
  if (a.as == DrawnAs::f16) return float_to_f16(a.scale * (2 * share - 1));
  if (a.as == DrawnAs::bf16) return bits_of(a.scale * (2 * share - 1)) >> 16;
  const bool is_scale = at == a.scale_at[0] || at == a.scale_at[1];
  return is_scale ? float_to_f16(a.scale * (0.5f + 0.5f * share)) : bits;
}

GPU_KERNEL(draw, Draw, kDrawThreads) {
  const int64_t word = a.first / kDrawBytes + int64_t{block_x()} * kDrawThreads + thread();
  const uint32_t low = word, high = word >> 32;
  const noise::Words drawn = noise::philox4x32({low, high, 0, 0}, a.key);
  const uint32_t words[4] = {drawn.a, drawn.b, drawn.c, drawn.d};
  const int in_block = word * kDrawBytes % a.block_bytes;
  GPU_UNROLL
  for (int i = 0; i < kDrawBytes / 2; ++i) {
    const int64_t at = word * kDrawBytes + 2 * i - a.first;
    if (at < 0 || at >= a.count) continue;
    const int place = in_block + 2 * i;
    as<uint16_t>(a.to + at)[0] =
        drawn_half(a, place < a.block_bytes ? place : place - a.block_bytes,
                   words[i / 2] >> (i % 2 * 16) & 0xffff);
  }
}

}  // namespace potluck::gpu
