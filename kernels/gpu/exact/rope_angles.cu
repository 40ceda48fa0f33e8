// A thread takes pairs. All layers of a kind share the angles of a pass: f64 is slow on most cards.
#include "kernels/gpu/device/math.h"
#include "kernels/gpu/device/segments.h"
#include "kernels/gpu/exact/rope_angles.h"

namespace potluck::gpu {

constexpr int kRopeThreads = 128;

// Angles are products in f32, their sines and cosines exact in f64 and rounded once.
GPU_KERNEL(rope_angles, RopeAngles, kRopeThreads) {
  const int row = block_x();
  const Segment* segment = segment_of(*a.params, row);
  if (!segment) return;
  const int position = segment->position + (row - segment->row_begin);
  const double theta = a.theta, log_theta = log(theta);
  for (int j = thread(); j < a.pairs; j += kRopeThreads) {
    const float frequency = exp(-2.0 * j / a.head_dim * log_theta);
    const float angle = position * frequency;
    const SineCosine of = sine_cosine(angle);
    RopeAngle& to = a.angles[int64_t{row} * a.pairs + j];
    to.sine = of.sine;
    to.cosine = of.cosine;
  }
}

}  // namespace potluck::gpu
