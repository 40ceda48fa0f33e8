// A thread copies by words where both ends allow it.
#include "kernels/gpu/device/gpu.h"
#include "kernels/gpu/exact/memory.h"

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

}  // namespace potluck::gpu
