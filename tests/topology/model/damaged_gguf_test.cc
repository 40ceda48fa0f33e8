// GGUF files that are damaged in many ways are refused in one line, and nothing crashes.
#include <cmath>
#include <random>

#include "tests/topology/model/damaged_file.h"
#include "topology/model/locator.h"

namespace potluck {
namespace {

TEST_F(DamagedFile, AGoodGgufOpens) {
  EXPECT_EQ(gguf(good_), "");
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
      "diffusion-gemma.embedding_lengtX is 64; potluck does not know");
  expect(gguf(replaced(good_, "blk.1.attn_q.weight", "blk.1.attn_X.weight")),
         "tensor blk.1.attn_q.weight [64, 64] is missing");
  expect(gguf(replaced(good_, "blk.1.attn_q.weight", "blk.0.attn_q.weight")), "appears twice");
  expect(gguf(replaced(good_, "rope_freqs.weight", "rope_freqX.weight")), "rope_freqs.weight [16]");
  Bytes twisted = good_;
  const size_t at = twisted.find("blk.0.ffn_norm.weight") + std::strlen("blk.0.ffn_norm.weight");
  expect(gguf(with_number(good_, at + 4, 63)), "blk.0.ffn_norm.weight has shape [63]");
  twisted[at + 12] = 34;
  expect(gguf(twisted), "has type tq1_0; potluck reads f32");
  for (const DType type : {DType::iq2_xxs, DType::iq2_s, DType::iq3_s, DType::iq1_m}) {
    twisted[at + 12] = static_cast<char>(type);
    expect(gguf(twisted),
           std::string("rows of ") + dtype_name(type) + " must be a multiple of 256");
  }
  expect(gguf(with_number(good_, at + 4, ~0ull >> 1)), "impossible shape");
  expect(gguf(with_number(good_, at + 16, 1ull << 50)), "past the end of the file");
  expect(gguf(with_number(good_, at + 16, 0)), "overlap");
}

TEST_F(DamagedFile, GgufValuesOfTheWrongKind) {
  const auto with = [](const std::string& key, const GgufValue& value) {
    TinyGguf tiny = tiny_gguf();
    tiny.contents.metadata[key] = value;
    return gguf_bytes(tiny.contents, tiny.data);
  };
  expect(gguf(with("diffusion-gemma.block_count", "two")),
         "block_count is the text \"two\"; it must be a number");
  expect(gguf(with("diffusion-gemma.block_count", 2.5)), "block_count is 2.5");
  expect(gguf(with("diffusion-gemma.block_count", 1e300)),
         "block_count is 1e+300; it must be a whole number");
  expect(gguf(with("diffusion-gemma.block_count", 5000.0)), "block_count is 5000; it must be");
  expect(gguf(with("diffusion-gemma.embedding_length", 1e8)), "hidden_size is 100000000");
  expect(gguf(with("diffusion-gemma.attention.head_count_kv", GgufArray{5, {}, {1}})),
         "has 1 values for 2 layers");
  expect(gguf(with("diffusion-gemma.attention.layer_norm_rms_epsilon", NAN)),
         "rms_norm_eps is nan");
  expect(gguf(with("diffusion-gemma.rope.freq_base", INFINITY)),
         "rope_theta of full layers is inf");
  expect(gguf(with("general.architecture", "llama")), "\"llama\"; potluck runs diffusion-gemma");
  expect(gguf(with("general.alignment", 48.0)), "general.alignment is not a power of two");
  EXPECT_EQ(gguf(with("diffusion-gemma.attention.head_count_kv", 1.0)), "");
}

TEST_F(DamagedFile, GgufVocabulariesThatDoNotFit) {
  const auto vocabulary = [&](const GgufArray& tokens, const GgufArray& types,
                              const GgufArray& merges) {
    TinyGguf tiny = tiny_gguf();
    tiny.contents.metadata["tokenizer.ggml.tokens"] = tokens;
    tiny.contents.metadata["tokenizer.ggml.token_type"] = types;
    tiny.contents.metadata["tokenizer.ggml.merges"] = merges;
    const std::string path = folder_.write("bad.gguf", gguf_bytes(tiny.contents, tiny.data));
    return refusal([&] { open_model(path)->vocabulary(); });
  };
  constexpr uint32_t kInts = 5, kTexts = 8;
  const GgufArray tokens{kTexts, std::vector<std::string>(16, "t"), {}};
  const GgufArray types{kInts, {}, std::vector<double>(16, 1)}, merges{kTexts, {}, {}};
  EXPECT_EQ(vocabulary(tokens, types, merges), "");
  GgufArray more = tokens, more_types = types;
  more.strings.push_back("t");
  expect(vocabulary(more, types, merges), "token_type has 16 values for 17 tokens");
  more_types.numbers.push_back(1);
  expect(vocabulary(more, more_types, merges),
         "tokenizer.ggml.tokens has 17 tokens, token_embd.weight has 16 rows");
  expect(vocabulary(tokens, types, {kTexts, {"ab"}, {}}), "merge \"ab\" is not a pair of tokens");
}

TEST_F(DamagedFile, EveryFlippedByteOfAGgufHeaderIsSurvived) {
  const TinyGguf tiny = tiny_gguf();
  const Bytes bytes = gguf_bytes(tiny.contents, tiny.data);
  const size_t data = bytes.size() - read_gguf(reinterpret_cast<const std::byte*>(bytes.data()),
                                               bytes.size(), "tiny")
                                         .tensors[0]
                                         .offset;
  const std::string path = folder_.write("bad.gguf", bytes);
  EXPECT_GT(flip_all(path, bytes, bytes.size() - data, path), 100);  // names, texts: harmless
}

// Whatever bit flips in a larger directory. The seed is printed.
TEST_F(DamagedFile, FlippedBitsNeverCrash) {
  const uint32_t seed = std::random_device{}();
  std::printf("seed %u\n", seed);
  std::mt19937 random(seed);
  for (int i = 0; i < 300; ++i) {
    Bytes bytes = good_;
    bytes[random() % 20000] ^= static_cast<char>(1 << random() % 8);
    survives(folder_.write("bad.gguf", bytes));
  }
}

}  // namespace
}  // namespace potluck
