// The control models of bench demo differ from their source in what they say, and in nothing else.
#include "cluster/demo/altered_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <span>

#include "backends/make_backend.h"
#include "shard/head.h"
#include "topology/base/fault.h"
#include "topology/model/locator.h"

namespace potluck {
namespace {

constexpr char kTiny[] = "synthetic:nano?layers=2&type=bf16";

std::shared_ptr<const ModelSource> tiny() {
  return open_model(kTiny);
}

using Bytes = std::vector<std::byte>;

Bytes file_bytes(const ModelSource& source, const TensorInfo& tensor) {
  const TensorBytes bytes = source.map(tensor);
  return {bytes.get(), bytes.get() + tensor.bytes};
}

// The values as whole numbers, in ascending order.
std::vector<uint32_t> sorted_values(const TensorInfo& tensor, const Bytes& bytes) {
  const size_t each = bytes.size() / static_cast<size_t>(tensor.elements());
  std::vector<uint32_t> values(static_cast<size_t>(tensor.elements()));
  for (size_t i = 0; i < values.size(); ++i) std::memcpy(&values[i], &bytes[i * each], each);
  std::sort(values.begin(), values.end());
  return values;
}

// x0 [canvas, H] of a step after one whose soft embedding was `soft` everywhere; no soft: of a
// first step.
std::vector<float> canvas_input(const ModelSource& source, std::optional<float> soft) {
  const ModelSpec& spec = source.spec();
  const auto backend = make_backend({.cpu = {.threads = 1}});
  Plan plan;
  plan.stream = DType::f32;
  plan.stages.push_back({.name = "stage", .layers = {0, spec.layer_count()}});
  Head head(source, plan, *backend);
  Segment segment;
  segment.mode = Mode::denoise;
  segment.rows = spec.canvas;
  std::vector<int32_t> ids;
  for (int i = 0; i < spec.canvas; ++i) ids.push_back(i * 7 % spec.vocab);
  std::vector<float> values(static_cast<size_t>(spec.canvas) * spec.hidden, soft.value_or(0));
  for (size_t i = 0; i < values.size(); ++i) values[i] *= static_cast<float>(i % 5) - 1;
  const Tensor before = soft ? head.new_soft() : Tensor{};
  if (soft) backend->upload(values.data(), values.size() * sizeof(float), before);
  head.embed(std::span(&segment, 1), ids, std::span(&before, 1));
  backend->download(head.workspace().x, values.size() * sizeof(float), values.data());
  backend->wait();
  return values;
}

TEST(AlteredModel, WithoutSelfConditioningAStepIsAsTheFirst) {
  const auto source = tiny();
  const auto altered = without_self_conditioning(source);
  const std::vector<float> first = canvas_input(*source, std::nullopt);
  EXPECT_NE(canvas_input(*source, 3.0f), first);
  EXPECT_EQ(canvas_input(*altered, std::nullopt), first);
  for (float soft : {3.0f, -1e30f}) EXPECT_EQ(canvas_input(*altered, soft), first) << soft;
}

TEST(AlteredModel, WithoutSelfConditioningAllOtherTensorsStay) {
  const auto source = tiny();
  const auto altered = without_self_conditioning(source);
  int changed = 0;
  for (const TensorInfo& tensor : source->tensors())
    changed += file_bytes(*altered, tensor) != file_bytes(*source, tensor);
  EXPECT_EQ(changed, 1);
}

TEST(AlteredModel, ShuffledWeightsAreTheSameValuesInAnotherOrder) {
  const auto source = tiny();
  const auto shuffled = with_shuffled_weights(source, 1);
  for (const TensorInfo& tensor : source->tensors()) {
    const Bytes before = file_bytes(*source, tensor), after = file_bytes(*shuffled, tensor);
    EXPECT_EQ(sorted_values(tensor, after), sorted_values(tensor, before)) << tensor.name;
    EXPECT_EQ(after == before, tensor.elements() == 1) << tensor.name;
  }
}

TEST(AlteredModel, TheOrderFollowsFromTheSeedAndTheName) {
  const auto source = tiny();
  const TensorInfo& up = *find_tensor(*source, "blk.0.ffn_up.weight");
  const Bytes order = file_bytes(*with_shuffled_weights(source, 1), up);
  EXPECT_EQ(file_bytes(*with_shuffled_weights(source, 1), up), order);
  EXPECT_NE(file_bytes(*with_shuffled_weights(source, 2), up), order);
  TensorInfo renamed = up;
  renamed.name = "blk.1.ffn_up.weight";
  EXPECT_NE(file_bytes(*with_shuffled_weights(source, 1), renamed), order);
}

TEST(AlteredModel, ValuesInBlocksAreRefusedByName) {
  const auto quantized = std::shared_ptr<const ModelSource>(open_model("synthetic:nano?layers=1"));
  const auto shuffled = with_shuffled_weights(quantized, 1);
  try {
    shuffled->map(*find_tensor(*quantized, "blk.0.ffn_up.weight"));
    FAIL();
  } catch (const Fault& fault) {
    EXPECT_EQ(fault.kind(), FaultKind::input);
    EXPECT_EQ(fault.text().rfind("blk.0.ffn_up.weight is q8_0", 0), 0u) << fault.text();
  }
}

}  // namespace
}  // namespace potluck
