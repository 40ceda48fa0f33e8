// Threads take a tile each, over all rows; one adds them up.
#include "kernels/gpu/device/gpu.h"
#include "kernels/gpu/exact/vocab_attention.h"

namespace potluck::gpu {

constexpr int kVocabCountThreads = kVocabChunkMost / kVocabTile;

GPU_KERNEL(vocab_count, VocabCount, kVocabCountThreads) {
  GPU_SHARED(int32_t, counts, [kVocabCountThreads]);
  const int tiles = a.chunk.tiles(), tile = thread();
  uint32_t used = 0;
  if (tile < tiles)
    for (int row = 0; row < a.rows; ++row) used |= a.used[int64_t{row} * tiles + tile];
  int32_t count = 0;
  for (int first = tile * kVocabTile; first < a.chunk.ids; first += kVocabSpan, used /= 2) {
    const int rest = a.chunk.ids - first;
    if (used % 2) count += rest < kVocabSpan ? rest : kVocabSpan;
  }
  counts[tile] = count;
  barrier();
  if (thread() > 0) return;
  int32_t sum = a.chunk.first_id > 0 ? *a.ids_summed : 0;
  for (int i = 0; i < tiles; ++i) sum += counts[i];
  *a.ids_summed = sum;
}

}  // namespace potluck::gpu
