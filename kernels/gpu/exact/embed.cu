// A thread opens eight neighbouring values at a time.
#include "kernels/gpu/device/dequantize.h"
#include "kernels/gpu/device/math.h"
#include "kernels/gpu/exact/embed.h"

namespace potluck::gpu {

constexpr int kEmbedThreads = 256;
constexpr int kEmbedRun = 8;

GPU_KERNEL(embed, Embed, kEmbedThreads) {
  const int64_t id = a.ids[block_x()], columns = a.table.columns;
  const bool known = id >= 0 && id < a.table.rows;
  const uint8_t* row = a.table.blocks + (known ? id * a.table.row_bytes : 0);
  const float scale = known ? a.scale : float_of(0x7fc00000u);
  float* out = a.out + block_x() * columns;
  for (int64_t first = thread() * kEmbedRun; first < columns; first += kEmbedThreads * kEmbedRun) {
    float values[kEmbedRun];
    open_run(a.table.type, row, first, columns, values);
    GPU_UNROLL
    for (int i = 0; i < kEmbedRun; ++i)
      if (first + i < columns) out[first + i] = values[i] * scale;
  }
}

}  // namespace potluck::gpu
