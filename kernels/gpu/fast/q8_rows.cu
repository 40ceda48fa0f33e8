// A warp rounds a block of 32.
#include "kernels/gpu/fast/q8_rows.h"
#include "kernels/gpu/fast/q8_value.h"

namespace potluck::gpu {

constexpr int kQ8RowsThreads = 256;

GPU_KERNEL(q8_rows, Q8Rows, kQ8RowsThreads) {
  const int64_t row = block_x(), blocks = a.n / 32;
  for (int64_t block = warp(); block < blocks; block += kQ8RowsThreads / 32) {
    const int64_t i = row * a.n + block * 32 + lane();
    store_q8(a.x[i], a.q + i, a.scale + row * blocks + block);
  }
}

}  // namespace potluck::gpu
