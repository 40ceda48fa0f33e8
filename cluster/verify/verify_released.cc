// Runs the published prompt on the released checkpoint and compares its logits.
#include "cluster/verify/verify_released.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <vector>

#include "backends/make_backend.h"
#include "cluster/ring/stages_beside.h"
#include "shard/head.h"
#include "topology/base/fault.h"

namespace potluck {
namespace {

constexpr int kLayers = 30, kHidden = 2816, kVocab = 262144, kCanvas = 256;
constexpr double kMeanAbsMax = 0.5;
// "Write a long essay about Portugal." in the chat format, without reasoning.
constexpr int32_t kPrompt[] = {2,      105, 2364, 107, 6974, 496, 1440, 20494, 1003, 23613,
                               236761, 106, 107,  105, 4368, 107, 100,  45518, 107,  101};
constexpr int kRows = 10, kIds = 12;
// The published soft-capped logits of canvas rows 0–9 and ids 0–11.
constexpr float kPublished[kRows][kIds] = {{4.1299f, 20.6666f, 6.7571f, 4.1605f, 13.1157f, 3.5921f,
                                            3.4688f, 3.8690f, 3.1447f, 2.4787f, 4.4360f, 4.7716f},
                                           {3.2065f, 22.5268f, 7.7865f, 2.7113f, 14.7328f, 4.5582f,
                                            4.1605f, 3.0364f, 3.9150f, 1.5845f, 4.5276f, 4.4666f},
                                           {4.7716f, 23.5508f, 5.8010f, 3.6536f, 15.6618f, 4.1912f,
                                            5.0150f, 2.9281f, 4.5582f, 2.9281f, 5.2879f, 7.8738f},
                                           {4.6497f, 24.2790f, 6.0113f, 3.6690f, 15.5707f, 3.1756f,
                                            5.2577f, 3.4071f, 4.9542f, 4.2830f, 5.7107f, 8.1061f},
                                           {5.1667f, 24.2790f, 6.4300f, 3.3608f, 16.8958f, 4.4971f,
                                            5.7709f, 4.4054f, 5.2274f, 4.1299f, 7.0531f, 8.6821f},
                                           {5.2879f, 24.3647f, 7.5821f, 3.5304f, 17.3176f, 4.4971f,
                                            5.3182f, 4.4054f, 4.9846f, 3.8843f, 7.4649f, 8.3373f},
                                           {5.1061f, 24.2790f, 7.1710f, 3.3454f, 16.5512f, 3.9611f,
                                            4.0992f, 4.2524f, 4.3442f, 4.4666f, 5.7107f, 8.2796f},
                                           {6.8164f, 24.1922f, 8.5675f, 5.3787f, 17.1501f, 5.8010f,
                                            5.8612f, 4.2524f, 6.3405f, 4.4971f, 7.6113f, 9.3643f},
                                           {6.9940f, 24.4492f, 8.9676f, 5.3485f, 16.8103f, 5.7709f,
                                            4.9542f, 4.4971f, 5.6806f, 4.6802f, 6.9349f, 8.8536f},
                                           {7.9320f, 23.8330f, 7.8156f, 6.5194f, 17.7293f, 5.9813f,
                                            5.8311f, 5.4392f, 6.6086f, 5.2879f, 7.6698f, 9.8689f}};

void check_shape(const ModelSpec& spec) {
  if (spec.layer_count() == kLayers && spec.hidden == kHidden && spec.vocab == kVocab &&
      spec.canvas == kCanvas)
    return;
  throw Fault(FaultKind::input,
              "--released is for the 26B checkpoint (30 layers, hidden 2816, vocabulary 262144); "
              "this model has " +
                  std::to_string(spec.layer_count()) + " layers, hidden " +
                  std::to_string(spec.hidden) + ", vocabulary " + std::to_string(spec.vocab));
}

Plan whole_model(const ModelSpec& spec) {
  Plan plan = plan_local(spec, {spec.layer_count()});
  plan.ctx_size = 2 * spec.canvas;
  plan.chunk = spec.canvas;
  return plan;
}

// Our soft-capped logits of the published rows and ids, [kRows][kIds].
std::vector<float> our_logits(const ModelSource& source, Backend& backend) {
  const Plan plan = whole_model(source.spec());
  Head head(source, plan, backend);
  StagesBeside stages(source, plan, backend);
  const Tensor none, soft = head.new_soft();
  Segment prompt;
  prompt.rows = std::size(kPrompt);
  head.embed(std::span(&prompt, 1), kPrompt, std::span(&none, 1));
  stages.through(std::span(&prompt, 1), head.workspace().x, nullptr);
  Segment canvas;
  canvas.mode = Mode::denoise;
  canvas.position = prompt.rows;
  canvas.rows = source.spec().canvas;
  std::vector<int32_t> ids(canvas.rows);
  std::iota(ids.begin(), ids.end(), 0);
  head.embed(std::span(&canvas, 1), ids, std::span(&none, 1));
  stages.through(std::span(&canvas, 1), head.workspace().x, nullptr);
  std::vector<float> logits(kRows * kIds);
  head.answer(std::span(&canvas, 1), std::span(&soft, 1),
              [&](int64_t first, int64_t count, const float* tile) {
                if (first != 0) return;
                for (int row = 0; row < kRows; ++row)
                  std::copy_n(tile + row * count, kIds, logits.begin() + row * kIds);
              });
  return logits;
}

}  // namespace

nlohmann::json verify_released(const ModelSource& source, const std::string& device, int threads) {
  check_shape(source.spec());
  const std::unique_ptr<Backend> backend =
      make_backend({.device = device, .cpu = {.threads = threads}});
  const std::vector<float> ours = our_logits(source, *backend);
  double sum = 0, worst = -1;
  int at = 0;
  for (int i = 0; i < kRows * kIds; ++i) {
    const double off = std::fabs(ours[i] - kPublished[i / kIds][i % kIds]);
    sum += off;
    if (off <= worst) continue;
    worst = off;
    at = i;
  }
  const double mean = sum / (kRows * kIds);
  return {{"passed", mean <= kMeanAbsMax},
          {"max_abs", worst},
          {"mean_abs", mean},
          {"rows", kRows},
          {"ids", kIds},
          {"worst",
           {{"row", at / kIds},
            {"id", at % kIds},
            {"ours", ours[at]},
            {"published", kPublished[at / kIds][at % kIds]}}}};
}

}  // namespace potluck
