// Tokenizer: Gemma 4's BPE (shard/MODEL.md §7.1). Specials first, verbatim, longest first; then
// every space becomes U+2581; base symbols are code points; merges by rank, leftmost on ties, with
// a heap so that 100 kB cost milliseconds; unknown code points fall back to their bytes' tokens.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "topology/model/model_source.h"

namespace potluck {

class Tokenizer final {
 public:
  // Throws Fault{input} when the vocabulary cannot work (no byte tokens and no <unk>, a merge of
  // unknown tokens where those are not skipped, …).
  explicit Tokenizer(Vocabulary vocabulary);

  // No BOS is added. parse_specials false: text that looks like a special token is ordinary text
  // (what a user typed must not open a turn).
  std::vector<int32_t> encode(std::string_view text, bool parse_specials = true) const;
  // Special tokens print as themselves; with skip_controls those that steer alone (`<turn|>`) do
  // not, and those that carry meaning (`<|tool_call>`, `<|"|>`) still do.
  std::string decode(std::span<const int32_t> ids, bool skip_controls = false) const;

  int size() const;
  // The vocabulary's notes, and one on merges that were left out.
  const std::vector<std::string>& notes() const;
  // The id of a token by its exact text; −1 if there is none.
  int32_t id_of(std::string_view token) const;
  bool is_special(int32_t id) const;  // a control or a user-defined token, as the file says
  bool is_byte(int32_t id) const;

  // EOS set: the model's list, plus <turn|> and <|tool_response> by name where the vocabulary has
  // them (a GGUF lists only one).
  std::vector<int32_t> stop_ids(const std::vector<int32_t>& listed) const;

 private:
  struct Tables;
  std::shared_ptr<const Tables> tables_;
};

// Incremental decoding: feed ids, get the text that is certain by now; multi-byte characters made
// of byte tokens are held back until complete or impossible.
class StreamDecoder final {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer, bool skip_controls = true);
  std::string push(int32_t id);
  std::string finish();

 private:
  const Tokenizer& tokenizer_;
  bool skip_controls_;
  std::vector<int32_t> held_;
};

}  // namespace potluck
