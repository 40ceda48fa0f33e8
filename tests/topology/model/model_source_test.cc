// One model is the same model whatever file it comes from.
#include "topology/model/model_source.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "tests/topology/model/temp_folder.h"
#include "tests/topology/model/tiny_model.h"
#include "topology/base/fault.h"
#include "topology/model/fingerprint.h"
#include "topology/model/locator.h"
#include "topology/model/synthetic.h"

namespace potluck {
namespace {

TEST(ModelSource, GgufAndSafetensorsOfOneModelAreTheSameModel) {
  const auto a = open_model(POTLUCK_GOLDEN "/nano/model-bf16.gguf");
  const auto b = open_model(POTLUCK_GOLDEN "/nano");
  for (const ModelSpec* spec : {&a->spec(), &b->spec()}) {
    EXPECT_EQ(spec->hidden, 64);
    EXPECT_EQ(spec->vocab, 400);
    EXPECT_EQ(spec->canvas, 16);
    EXPECT_EQ(spec->window, 24);
    EXPECT_EQ(spec->rope_pairs_full, 4);
    EXPECT_EQ(spec->embed_scale, 8.0f);
    EXPECT_TRUE(spec->layers[2].full && !spec->layers[2].has_v && spec->layers[0].has_v);
  }
  int compared = 0;
  a->drop_cached();  // and it is read again
  b->drop_cached();
  for (const TensorInfo& tensor : b->tensors()) {
    const TensorInfo* other = find_tensor(*a, tensor.name);
    ASSERT_NE(other, nullptr) << tensor.name;
    EXPECT_EQ(other->shape, tensor.shape) << tensor.name;
    if (other->type != tensor.type) continue;  // norms are f32 in the GGUF
    EXPECT_EQ(std::memcmp(a->map(*other).get(), b->map(tensor).get(), tensor.bytes), 0)
        << tensor.name;
    ++compared;
  }
  EXPECT_GT(compared, 40);
}

TEST(ModelSource, EmbeddingScaleIsARoundedRoot) {
  EXPECT_EQ(open_model(POTLUCK_GOLDEN "/scaled")->spec().embed_scale, 9.8125f);
}

// A machine without the model measures it by its shapes, which come as text.
TEST(ModelSource, ATwinHasTheModelsShapesAndMadeUpBytes) {
  for (const char* model :
       {POTLUCK_GOLDEN "/nano/model-bf16.gguf", POTLUCK_GOLDEN "/nano", POTLUCK_GOLDEN "/scaled"}) {
    const auto real = open_model(model);
    const auto twin = make_twin(shapes_text(*real));
    EXPECT_EQ(spec_digest(*twin), spec_digest(*real)) << model;
    EXPECT_EQ(spec_digest(*make_twin(*real)), spec_digest(*real)) << model;
    EXPECT_NE(layer_digest(*twin, 0), layer_digest(*real, 0)) << model;
    EXPECT_EQ(twin->spec().context_max, real->spec().context_max);
  }
  EXPECT_THROW(make_twin(std::string("{}")), Fault);
  EXPECT_THROW(make_twin(std::string("shapes")), Fault);
}

TEST(ModelSource, SyntheticModelsRepeatAndDifferBySeed) {
  const auto a = open_model("synthetic:nano?seed=1"), b = open_model("synthetic:nano?seed=1");
  const auto c = open_model("synthetic:nano?seed=2");
  EXPECT_EQ(layer_digest(*a, 1), layer_digest(*b, 1));
  EXPECT_NE(layer_digest(*a, 1), layer_digest(*c, 1));
  EXPECT_EQ(spec_digest(*a), spec_digest(*c));
  EXPECT_NE(spec_digest(*a), spec_digest(*open_model("synthetic:nano?layers=4")));
}

// Rows of 704 are no blocks of 256: there the file of a quantizer would have another type.
TEST(ModelSource, SyntheticExpertsHaveATypeOfTheirOwn) {
  const auto type_of = [](const std::string& locator, const char* name) {
    return std::string(dtype_name(find_tensor(*open_model(locator), name)->type));
  };
  const std::string model =
      "synthetic:released?layers=1&vocab=512&experts=8&type=q8_0&expert_type=";
  EXPECT_EQ(type_of(model + "iq2_s", "blk.0.ffn_gate_up_exps.weight"), "iq2_s");
  EXPECT_EQ(type_of(model + "iq2_s", "blk.0.ffn_down_exps.weight"), "iq4_nl");
  EXPECT_EQ(type_of(model + "q4_k", "blk.0.ffn_down_exps.weight"), "q5_0");
  EXPECT_EQ(type_of(model + "mxfp4", "blk.0.ffn_down_exps.weight"), "mxfp4");
  EXPECT_EQ(type_of(model + "iq2_s", "blk.0.attn_q.weight"), "q8_0");
  EXPECT_THROW(open_model(model + "iq9"), Fault);
  EXPECT_EQ(type_of(model + "q4_k&head_type=q6_k", "token_embd.weight"), "q6_k");
  EXPECT_EQ(type_of(model + "q4_k&head_type=q6_k", "blk.0.attn_q.weight"), "q8_0");
}

// Canvases, temperatures and noise keys reach workers in messages, end tokens never do: copies that
// differ there may share a ring. A number that a stage computes by may not differ in its last bit.
TEST(ModelSource, TheSpecDigestIsOfWhatWorkersComputeBy) {
  TempFolder folder;
  const auto digest = [&](const std::string& key, double value) {
    TinyGguf tiny = tiny_gguf();
    if (!key.empty()) tiny.contents.metadata[key] = value;
    return spec_digest(*open_model(folder.write("x.gguf", gguf_bytes(tiny.contents, tiny.data))));
  };
  const Digest plain = digest("", 0);
  for (const char* key : {"diffusion.eb_max_steps", "diffusion.eb_stability_threshold",
                          "tokenizer.ggml.eos_token_id", "diffusion.eb_t_min"})
    EXPECT_EQ(digest(key, std::string(key).ends_with("t_min") ? 0.5 : 7), plain) << key;
  const float eps = 1e-6f;
  EXPECT_EQ(digest("diffusion-gemma.attention.layer_norm_rms_epsilon", eps), plain);
  EXPECT_NE(digest("diffusion-gemma.attention.layer_norm_rms_epsilon", std::nextafter(eps, 1.0f)),
            plain);
  EXPECT_NE(digest("diffusion.canvas_length", 5), plain);
  EXPECT_NE(digest("diffusion-gemma.attention.sliding_window", 7), plain);
  EXPECT_NE(digest("diffusion-gemma.rope.freq_base", 1000001), plain);
}

TEST(ModelSource, PublishedNamesAndGgufNamesAreOneModel) {
  TempFolder folder;
  const TinyCheckpoint tiny = tiny_checkpoint();
  folder.write("config.json", tiny.config);
  folder.write("generation_config.json", tiny.generation);
  folder.write("tokenizer.json", tiny.tokenizer);
  folder.write("model.safetensors", tiny.tensors);
  const auto source = open_model(folder.path());
  EXPECT_EQ(source->spec().generation.eos_ids, (std::vector<int32_t>{1, 5}));
  EXPECT_EQ(source->notes(),
            std::vector<std::string>{"skipped 1 tensor that is not of the text model (vision)"});
  const TinyGguf gguf = tiny_gguf();
  const auto other = open_model(folder.write("x.gguf", gguf_bytes(gguf.contents, gguf.data)));
  EXPECT_EQ(other->vocabulary().tokens, source->vocabulary().tokens);
  EXPECT_EQ(other->vocabulary().types, source->vocabulary().types);
  EXPECT_EQ(source->vocabulary().tokens.size(), 16u);  // 15 named and an unused one
}

TEST(ModelSource, WhatCannotBeFoundSaysWhatToDo) {
  const auto text_of = [](const std::string& locator) {
    try {
      open_model(locator, {"/nowhere/hub", ""});
    } catch (const Fault& fault) {
      EXPECT_EQ(fault.kind(), FaultKind::input);
      return std::string(fault.what());
    }
    return std::string("opened");
  };
  EXPECT_NE(text_of("hf:someone/some-GGUF:Q8_0").find("potluck pull hf:someone/some-GGUF:Q8_0"),
            std::string::npos);
  EXPECT_NE(text_of("/no/such/file.gguf").find("/no/such/file.gguf"), std::string::npos);
  EXPECT_NE(text_of("synthetic:big").find("\"big\""), std::string::npos);
  EXPECT_NE(text_of("synthetic:nano?depth=3").find("\"depth\""), std::string::npos);
  EXPECT_EQ(text_of("synthetic:nano?layers=6&layers=7"),
            "synthetic layers appears twice; give it once");
  EXPECT_EQ(text_of("synthetic:nano?type=bf16&type=bf16"),
            "synthetic type appears twice; give it once");
  for (const char* layers : {"-1", "0", "", "six", "9999999999"})
    EXPECT_EQ(text_of("synthetic:nano?layers=" + std::string(layers)),
              "synthetic layers=\"" + std::string(layers) +
                  "\" is no whole number from 1 to 999999999; give one, like layers=5");
  EXPECT_EQ(text_of("synthetic:nano?full_every=0"), "opened");
  EXPECT_EQ(text_of("synthetic:nano?layer=6"),
            "synthetic key \"layer\" is unknown; did you mean \"layers\"?");
  EXPECT_NE(text_of("synthetic:nano?experts_used=99").find("top_k_experts"), std::string::npos);
}

}  // namespace
}  // namespace potluck
