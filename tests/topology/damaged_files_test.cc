// Real files, damaged one way each: every one is refused by a line that names the file, and none
// crashes.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>

#include "topology/fault.h"
#include "topology/model_source.h"

namespace potluck {
namespace {

namespace fs = std::filesystem;
using Bytes = std::string;

Bytes read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class DamagedFile : public testing::Test {
 protected:
  DamagedFile()
      : folder_(fs::temp_directory_path() / ("potluck-" + std::to_string(std::random_device{}()))) {
    fs::create_directories(folder_);
  }
  ~DamagedFile() override { fs::remove_all(folder_); }

  // The refusal of a GGUF with these bytes; "" if it was opened.
  std::string gguf(const Bytes& bytes) const {
    std::ofstream(folder_ / "bad.gguf", std::ios::binary) << bytes;
    return refusal((folder_ / "bad.gguf").string());
  }

  std::string safetensors(const Bytes& model, const Bytes& config) const {
    std::ofstream(folder_ / "model.safetensors", std::ios::binary) << model;
    std::ofstream(folder_ / "config.json") << config;
    return refusal(folder_.string());
  }

  static std::string refusal(const std::string& path) {
    try {
      open_model(path);
    } catch (const Fault& fault) {
      EXPECT_EQ(fault.kind(), FaultKind::input) << fault.what();
      EXPECT_EQ(std::string(fault.what()).find('\n'), std::string::npos);
      std::printf("%s\n", fault.text().c_str());
      return fault.text();
    }
    return "";
  }

  static void expect(const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << "\"" << text << "\" lacks \"" << part << "\"";
  }

  static Bytes replaced(Bytes bytes, const std::string& from, const std::string& to) {
    const size_t at = bytes.find(from);
    EXPECT_NE(at, Bytes::npos) << from;
    return bytes.replace(at, from.size(), to);
  }

  static Bytes with_number(Bytes bytes, size_t at, uint64_t value) {
    std::memcpy(bytes.data() + at, &value, sizeof(value));
    return bytes;
  }

  const fs::path folder_;
  const Bytes good_ = read(POTLUCK_GOLDEN "/nano/model-bf16.gguf");
  const Bytes good_st_ = read(POTLUCK_GOLDEN "/nano/model.safetensors");
  const Bytes config_ = read(POTLUCK_GOLDEN "/nano/config.json");
};

TEST_F(DamagedFile, GoodOnesOpen) {
  EXPECT_EQ(gguf(good_), "");
  EXPECT_EQ(safetensors(good_st_, config_), "");
}

TEST_F(DamagedFile, GgufHeader) {
  expect(gguf("nothing of the kind"), "not a GGUF file");
  expect(gguf(""), "download it again");
  Bytes old = good_;
  old[4] = 2;
  expect(gguf(old), "GGUF version 2");
  expect(gguf(with_number(good_, 8, 1ull << 40)), "claims 1099511627776 tensors");
  expect(gguf(with_number(good_, 16, 1ull << 40)), "metadata keys");
  expect(gguf(with_number(good_, 24, 1ull << 60)), "the file ends");
}

TEST_F(DamagedFile, GgufTruncated) {
  for (double part : {0.01, 0.1, 0.3, 0.6, 0.99})
    EXPECT_NE(gguf(good_.substr(0, static_cast<size_t>(static_cast<double>(good_.size()) * part))),
              "")
        << part;
}

TEST_F(DamagedFile, GgufMetadataAndTensors) {
  expect(
      gguf(replaced(good_, "diffusion-gemma.embedding_length", "diffusion-gemma.embedding_lengtX")),
      "embedding_length is missing");
  expect(gguf(replaced(good_, "blk.1.attn_q.weight", "blk.1.attn_X.weight")),
         "tensor blk.1.attn_q.weight [64, 64] is missing");
  expect(gguf(replaced(good_, "blk.1.attn_q.weight", "blk.0.attn_q.weight")), "stands twice");
  expect(gguf(replaced(good_, "rope_freqs.weight", "rope_freqX.weight")), "rope_freqs.weight [16]");
  Bytes twisted = good_;
  const size_t at = twisted.find("blk.0.ffn_norm.weight") + std::strlen("blk.0.ffn_norm.weight");
  expect(gguf(with_number(good_, at + 4, 63)), "blk.0.ffn_norm.weight has shape [63]");
  twisted[at + 12] = 16;
  expect(gguf(twisted), "has type iq2_xxs; potluck reads f32");
  expect(gguf(with_number(good_, at + 4, ~0ull >> 1)), "impossible shape");
  expect(gguf(with_number(good_, at + 16, 1ull << 50)), "past the end of the file");
  expect(gguf(with_number(good_, at + 16, 0)), "overlap");
}

// Whatever bit flips in the directory: opened, or refused; never a crash. The seed is printed.
TEST_F(DamagedFile, FlippedBitsNeverCrash) {
  const uint32_t seed = std::random_device{}();
  std::printf("seed %u\n", seed);
  std::mt19937 random(seed);
  for (int i = 0; i < 300; ++i) {
    Bytes bytes = good_;
    bytes[random() % 20000] ^= static_cast<char>(1 << random() % 8);
    std::ofstream(folder_ / "bad.gguf", std::ios::binary) << bytes;
    try {
      open_model((folder_ / "bad.gguf").string());
    } catch (const Fault&) {
    }
  }
}

TEST_F(DamagedFile, Safetensors) {
  expect(safetensors("abc", config_), "too short");
  expect(safetensors(with_number(good_st_, 0, 1ull << 50), config_), "claims a header of");
  expect(safetensors(good_st_.substr(0, 5000), config_), "truncated");
  expect(safetensors(good_st_.substr(0, good_st_.size() - 100), config_),
         "past the end of the file");
  expect(safetensors(replaced(good_st_, "\"BF16\"", "\"F8E4\""), config_), "unknown dtype F8E4");
  expect(safetensors(replaced(good_st_, "layers.0.mlp.up_proj", "layers.0.mlp.up_prox"), config_),
         "blk.0.ffn_up.weight");
  expect(safetensors(good_st_, replaced(config_, "\"hidden_size\": 64", "\"hidden_size\": 65")),
         "shape");
  expect(safetensors(replaced(good_st_, "layers.0.self_attn.v_proj", "layers.0.self_attn.v_prox"),
                     config_),
         "blk.0.attn_v.weight");
  expect(safetensors(good_st_, replaced(config_, "\"sliding_attention\"", "\"sliding_attentioX\"")),
         "sliding_attentioX");
  expect(safetensors(good_st_,
                     replaced(config_, "\"num_hidden_layers\": 5", "\"num_hidden_layers\": 4")),
         "num_hidden_layers is 4");
  expect(safetensors(good_st_, "{"), "not valid JSON");
  expect(safetensors(good_st_, replaced(config_, "\"canvas_length\"", "\"canvas_lengtX\"")),
         "canvas_length");
  expect(safetensors(good_st_, replaced(config_, "\"top_k_experts\": 2", "\"top_k_experts\": 9")),
         "top_k_experts is 9");
}

}  // namespace
}  // namespace potluck
