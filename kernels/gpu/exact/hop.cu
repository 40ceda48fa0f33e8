// A lane packs a value, and a warp a block of q8_0; a thread unpacks eight values.
#include "kernels/gpu/device/dequantize.h"
#include "kernels/gpu/device/reduce.h"
#include "kernels/gpu/device/store_value.h"
#include "kernels/gpu/exact/hop.h"

namespace potluck::gpu {

constexpr int kUnpackThreads = 256;
constexpr int kUnpackRun = kUnpackValues / kUnpackThreads;

// d = max|x| / 127, q = round(x / d). What is no number counts as 0 in the maximum, and its q is 0.
GPU_DEVICE void pack_q8_0(float x, uint8_t* block) {
  const float size = x >= 0 ? x : x < 0 ? -x : 0.0f;
  const float d = warp_max(size) / 127.0f, inverse = d > 0 ? 1.0f / d : 0.0f;
  const float q = round_to_even(x * inverse);
  const int level = q >= -128 && q < 128 ? q : 0.0f;
  block[2 + lane()] = level;
  if (lane() == 0) store_value(Stored::f16, d, block, 0);
}

GPU_KERNEL(pack, Pack, kPackValues) {
  const int64_t i = int64_t{block_x()} * kPackValues + thread();
  if (i >= a.count) return;
  if (a.type == Stored::q8_0)
    pack_q8_0(a.x[i], a.wire + i / 32 * 34);
  else
    store_value(a.type, a.x[i], a.wire, i);
}

GPU_KERNEL(unpack, Unpack, kUnpackThreads) {
  const int64_t first = int64_t{block_x()} * kUnpackValues + thread() * kUnpackRun;
  if (first >= a.count) return;
  float values[kUnpackRun];
  open_run(a.type, a.wire, first, a.count, values);
  GPU_UNROLL
  for (int i = 0; i < kUnpackRun; ++i)
    if (first + i < a.count) a.x[first + i] = values[i];
}

}  // namespace potluck::gpu
