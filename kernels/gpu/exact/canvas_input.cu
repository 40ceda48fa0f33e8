// A block sums its row in `out`, then norms and rounds what lies there: each thread reads only what
// it has written itself.
#include "kernels/gpu/device/math.h"
#include "kernels/gpu/device/reduce.h"
#include "kernels/gpu/device/segments.h"
#include "kernels/gpu/exact/canvas_input.h"

namespace potluck::gpu {

constexpr int kCanvasInputThreads = 256;

GPU_KERNEL(canvas_input, CanvasInput, kCanvasInputThreads) {
  GPU_SHARED(float, partial, [kCanvasInputThreads / 32]);
  const Segment* segment = segment_of(*a.params, block_x());
  if (!segment) return;
  const bool denoise = segment->mode == Mode::denoise;
  const float* x = a.x + block_x() * a.n;
  const float* s = denoise && a.s ? a.s + block_x() * a.n : nullptr;
  float* out = a.out + block_x() * a.n;
  for (int64_t i = thread(); i < a.n; i += kCanvasInputThreads) out[i] = s ? x[i] + s[i] : x[i];
  const float inverse = denoise ? inverse_rms<kCanvasInputThreads>(out, a.n, a.eps, partial) : 1.0f;
  for (int64_t i = thread(); i < a.n; i += kCanvasInputThreads)
    out[i] = round_to(a.stream, out[i] * inverse);
}

}  // namespace potluck::gpu
