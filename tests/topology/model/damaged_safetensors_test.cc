// Checkpoints that are damaged in many ways are refused in one line, and nothing crashes.
#include <nlohmann/json.hpp>

#include "tests/topology/model/damaged_file.h"
#include "topology/model/locator.h"

namespace potluck {
namespace {

TEST_F(DamagedFile, AGoodCheckpointOpens) {
  EXPECT_EQ(safetensors(good_st_, config_), "");
}

TEST_F(DamagedFile, Safetensors) {
  expect(safetensors("abc", config_), "too short");
  expect(safetensors(with_number(good_st_, 0, 1ull << 50), config_), "claims a header of");
  expect(safetensors(good_st_.substr(0, 5000), config_), "truncated");
  expect(safetensors(good_st_.substr(0, good_st_.size() - 100), config_),
         "past the end of the file");
  expect(safetensors(replaced(good_st_, "\"BF16\"", "\"F8E4\""), config_), "unknown dtype F8E4");
  expect(safetensors(replaced(good_st_, "layers.0.mlp.up_proj", "layers.0.mlp.up_prox"), config_),
         "model.decoder.layers.0.mlp.up_proj.weight");
  expect(safetensors(good_st_, replaced(config_, "\"hidden_size\": 64", "\"hidden_size\": 65")),
         "shape");
  expect(safetensors(replaced(good_st_, "layers.0.self_attn.v_proj", "layers.0.self_attn.v_prox"),
                     config_),
         "model.decoder.layers.0.self_attn.v_proj.weight");
  expect(safetensors(good_st_, replaced(config_, "\"sliding_attention\"", "\"sliding_attentioX\"")),
         "sliding_attentioX");
  expect(safetensors(good_st_,
                     replaced(config_, "\"num_hidden_layers\": 5", "\"num_hidden_layers\": 4")),
         "num_hidden_layers is 4");
  expect(safetensors(good_st_, "{"), "not valid JSON");
  expect(safetensors(good_st_, replaced(config_, "\"num_experts\"", "\"num_expertX\"")),
         "\"num_expertX\" is 8; potluck does not know");
  expect(safetensors(good_st_, replaced(config_, "\"top_k_experts\": 2", "\"top_k_experts\": 9")),
         "top_k_experts is 9");
}

// The JSON beside the tensors, each by its name.
TEST_F(DamagedFile, SafetensorsConfig) {
  const TinyCheckpoint tiny = tiny_checkpoint();
  EXPECT_EQ(safetensors(tiny.tensors, tiny.config), "");
  const auto config = [&](const std::string& from, const std::string& to) {
    return safetensors(tiny.tensors, replaced(tiny.config, from, to));
  };
  const std::string hidden = "\"hidden_size\":8";
  expect(config(hidden, "\"hidden_size\":\"8\""), "\"hidden_size\" is \"8\"");
  expect(config(hidden, "\"hidden_size\":4294967304"), "\"hidden_size\" is 4294967304");
  expect(config(hidden, "\"hidden_size\":8,\"hidden_size\":8"), "\"hidden_size\" appears twice");
  expect(config("\"partial_rotary_factor\":0.25", "\"partial_rotary_factor\":1e300"),
         "partial_rotary_factor is 1e+300; it must be 0 to 1");
  expect(config("\"layer_types\":[", "\"layer_types\":[7,"), "\"layer_types\" is 7");
  expect(config("{", "[{"), "not valid JSON");
  expect(safetensors(tiny.tensors, "[]"), "holds a list where an object must be");
  expect(safetensors(tiny.tensors, nested("{\"text_config\":")), "nested more than 64 deep");
}

TEST_F(DamagedFile, SafetensorsDirectory) {
  const TinyCheckpoint tiny = tiny_checkpoint();
  const auto directory = [&](const std::string& text) {
    const Bytes bytes = Bytes(8, '\0').append(text).append(64, '\0');
    return safetensors(with_number(bytes, 0, text.size()), tiny.config);
  };
  const auto entry = [&](const char* shape, const char* offsets) {
    std::string text = R"({"a":{"dtype":"F32","shape":SHAPE,"data_offsets":OFFSETS}})";
    return replaced(replaced(text, "SHAPE", shape), "OFFSETS", offsets);
  };
  expect(directory(R"({"a":{},"b":{},"a":{}})"), "\"a\" appears twice");
  expect(directory(nested("{\"a\":")), "nested more than 64 deep");
  expect(directory("[]"), "holds a list where an object must be");
  expect(directory("{\"a\":7}"), "\"a\" is 7; it must be an object");
  expect(directory(entry("[-2]", "[0,8]")), "\"shape\" is -2");
  expect(directory(entry("[4611686018427387904,4]", "[0,8]")), "impossible shape");
  expect(directory(entry("[3]", "[0,8]")), "has 8 bytes, not the 12 that F32 takes");
  expect(directory(entry("[2]", "[8,0]")), "past the end of the file");
  expect(directory(entry("[2]", "[0,18446744073709551615]")), "\"data_offsets\" is");
}

TEST_F(DamagedFile, SafetensorsOverlap) {
  const TinyCheckpoint tiny = tiny_checkpoint();
  const std::string scalar = "model.decoder.layers.0.layer_scalar\":{\"data_offsets\":[";
  const size_t at = tiny.tensors.find(scalar) + scalar.size();
  const size_t end = tiny.tensors.find(']', at);
  std::string place = "0,2";
  place.resize(end - at, ' ');
  expect(safetensors(Bytes(tiny.tensors).replace(at, end - at, place), tiny.config),
         "tensors token_embd.weight and blk.0.layer_output_scale.weight overlap at byte");
}

TEST_F(DamagedFile, SafetensorsIndex) {
  const TinyCheckpoint tiny = tiny_checkpoint();
  folder_.write("a.safetensors", tiny.tensors);
  const auto index = [&](const nlohmann::json& map) {
    folder_.write("model.safetensors.index.json", nlohmann::json{{"weight_map", map}}.dump());
    return safetensors("", tiny.config);
  };
  EXPECT_EQ(index({{"x", "a.safetensors"}, {"y", "a.safetensors"}}), "");
  expect(index({{"x", "a.safetensors"}, {"y", "b.safetensors"}}),
         "shard 2 of 2 is missing: there is no b.safetensors");
  for (const char* name : {"../a.safetensors", "/etc/passwd", "..", ".", ""})
    expect(index({{"x", name}}), "which is not a file of this folder");
  expect(index({{"x", 7}}), "\"x\" is 7; it must be a text");
  expect(index(nlohmann::json::array()), "\"weight_map\" is a list; it must be an object");
  expect(index(nlohmann::json::object()), "names no file");
  folder_.write("c.safetensors", tiny.tensors);
  expect(index({{"x", "a.safetensors"}, {"y", "c.safetensors"}}), "appears twice");
}

TEST_F(DamagedFile, TokenizerJson) {
  const TinyCheckpoint tiny = tiny_checkpoint();
  ASSERT_EQ(safetensors(tiny.tensors, tiny.config), "");
  const auto tokenizer = [&](const std::string& text) {
    folder_.write("tokenizer.json", text);
    return refusal([this] { open_model(folder_.path())->vocabulary(); });
  };
  const auto with = [&](const std::string& from, const std::string& to) {
    return tokenizer(replaced(tiny.tokenizer, from, to));
  };
  EXPECT_EQ(tokenizer(tiny.tokenizer), "");
  expect(with("\"ab\":9", "\"ab\":16"), "token \"ab\" has the id 16, the model's table has 16");
  expect(with("\"ab\":9", "\"ab\":-1"), "token \"ab\" has the id -1");
  expect(with("\"ab\":9", "\"ab\":16777215"), "the id 16777215");
  expect(with("\"ab\":9", "\"ab\":1e300"), "\"ab\" is 1e+300; it must be a whole number");
  expect(with("\"ab\":9", "\"ab\":9,\"ab\":9"), "\"ab\" appears twice");
  expect(with("\"BPE\"", "\"Unigram\""), "a tokenizer of type Unigram; potluck reads BPE");
  expect(with("[\"a\",\"b\"]", "\"ab\""), "merge \"ab\" is not a pair of tokens");
  expect(with("[\"a\",\"b\"]", "[\"a\"]"), "merge a list is not a pair of tokens");
  expect(with("\"merges\"", "\"mergers\""), "\"merges\" is missing");
  expect(with("\"content\":\"<eos>\"", "\"content\":2"), "\"content\" is 2; it must be a text");
  expect(tokenizer(tiny.tokenizer.substr(0, tiny.tokenizer.size() / 2)), "not valid JSON");
  expect(tokenizer(nested("{\"model\":")), "nested more than 64 deep");
  std::filesystem::remove(folder_.path("tokenizer.json"));
  EXPECT_NE(refusal([this] { open_model(folder_.path())->vocabulary(); }), "");
}

TEST_F(DamagedFile, EveryFlippedByteOfACheckpointIsSurvived) {
  const TinyCheckpoint tiny = tiny_checkpoint();
  const std::string config = folder_.write("config.json", tiny.config);
  const std::string tokenizer = folder_.write("tokenizer.json", tiny.tokenizer);
  const std::string tensors = folder_.write("model.safetensors", tiny.tensors);
  uint64_t header = 0;
  std::memcpy(&header, tiny.tensors.data(), sizeof(header));
  flip_all(tensors, tiny.tensors, sizeof(header) + header, folder_.path());
  flip_all(config, tiny.config, tiny.config.size(), folder_.path());
  flip_all(tokenizer, tiny.tokenizer, tiny.tokenizer.size(), folder_.path());
  EXPECT_TRUE(survives(folder_.path()));  // every byte was put back
}

}  // namespace
}  // namespace potluck
