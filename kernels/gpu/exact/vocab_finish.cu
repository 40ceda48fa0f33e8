// A block finishes a row.
#include "kernels/gpu/device/math.h"
#include "kernels/gpu/exact/vocab_attention.h"

namespace potluck::gpu {

constexpr int kVocabFinishThreads = 256;

GPU_KERNEL(vocab_finish, VocabFinish, kVocabFinishThreads) {
  const VocabPartial& row = a.partial[block_x()];
  float* soft = a.soft + block_x() * a.hidden;
  // Adding 0 makes −0 0, which an id that weighs nothing would have done too.
  for (int64_t i = thread(); i < a.hidden; i += kVocabFinishThreads)
    soft[i] = soft[i] / row.mass * a.soft_scale + 0.0f;
  if (thread() > 0 || !a.candidates) return;
  // An entropy that is not a number stays one, and never counts as certain.
  const double mass = row.mass, nats = log(mass) - row.moment / mass;
  a.candidates[block_x()] = {row.argmax, row.sample, nats <= 0 ? 0.0f : static_cast<float>(nats)};
}

}  // namespace potluck::gpu
