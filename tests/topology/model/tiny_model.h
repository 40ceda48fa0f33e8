// Complete models of a few kB, as the bytes of their files: for damaging, splitting and fuzzing.
#pragma once

#include <string>
#include <vector>

#include "topology/model/gguf_reader.h"
#include "topology/model/model_source.h"

namespace potluck {

// One sliding and one full layer, hidden 8, 2 experts, 16 tokens.
ModelSpec tiny_spec();

// A GGUF file of this metadata and directory; data[i] are the bytes of tensors[i] (whose offsets
// are made here).
std::string gguf_bytes(const GgufContents& contents, const std::vector<std::string>& data);

// The tiny model; data as gguf_bytes takes it.
struct TinyGguf {
  GgufContents contents;
  std::vector<std::string> data;
};
TinyGguf tiny_gguf();

// A published checkpoint's files of the same model, with one vision tensor besides.
struct TinyCheckpoint {
  std::string config, generation, tokenizer, tensors;
};
TinyCheckpoint tiny_checkpoint();

// Reads the first and last byte of every tensor, and the vocabulary if there is one: what a damaged
// file that was opened all the same must still allow.
int touch(const ModelSource& source);

}  // namespace potluck
