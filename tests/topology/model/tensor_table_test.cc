// The tensor table by its rules: names lead there and back, and V projections follow the spec.
#include "topology/model/tensor_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/topology/model/tiny_model.h"
#include "topology/plan/needs.h"

namespace potluck {
namespace {

std::vector<TensorNeed> all_tensors(const ModelSpec& spec) {
  std::vector<TensorNeed> all = head_tensors(spec);
  for (int i = 0; i < spec.layer_count(); ++i)
    for (const TensorNeed& need : layer_tensors(spec, i)) all.push_back(need);
  return all;
}

TEST(TensorTable, APublishedNameLeadsBackToTheTensor) {
  std::set<std::string> names, published;
  for (const TensorNeed& need : all_tensors(tiny_spec())) {
    EXPECT_EQ(gguf_name(need.published), need.name);
    EXPECT_TRUE(names.insert(need.name).second) << need.name;
    EXPECT_TRUE(published.insert(need.published).second) << need.published;
  }
  EXPECT_EQ(gguf_name("model.encoder.language_model.layers.7.layer_scalar"),
            "blk.7.enc_layer_output_scale.weight");
  EXPECT_EQ(gguf_name("model.decoder.layers.7.layer_scalar"), "blk.7.layer_output_scale.weight");
}

TEST(TensorTable, TensorsOfOtherPartsAreNoneOfTheTextModel) {
  for (const char* name :
       {"model.encoder.vision_tower.std_bias", "model.encoder.language_model.embed_tokens.weight",
        "model.encoder.language_model.layers.0.mlp.up_proj.weight", "model.decoder.layers.0",
        "model.decoder.mlp.up_proj.weight", "model.decoder.layers.0.norm.weight", ""})
    EXPECT_EQ(gguf_name(name), std::nullopt) << name;
}

TEST(TensorTable, AVProjectionIsThereWhereALayerStoresIt) {
  ModelSpec spec = tiny_spec();
  const auto has_v = [&](int layer) {
    const std::vector<TensorNeed> needs = layer_tensors(spec, layer);
    return std::any_of(needs.begin(), needs.end(), [&](const TensorNeed& need) {
      return need.name == layer_tensor_name(layer, "attn_v.weight");
    });
  };
  spec.layers[0].has_v = true;
  spec.layers[1].has_v = false;
  EXPECT_TRUE(has_v(0));
  EXPECT_FALSE(has_v(1));
}

TEST(Needs, AKindOfDeviceWithoutARowCountsAsACpu) {
  EXPECT_EQ(device_needs("cpu").kind, "cpu");
  EXPECT_EQ(device_needs("hip:3").kind, "hip");
  EXPECT_EQ(device_needs("npu:0").kind, "cpu");
}

}  // namespace
}  // namespace potluck
