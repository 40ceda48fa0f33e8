// Reads tokens, their types and merges from tokenizer.json.
#include "topology/model/tokenizer_json.h"

#include <algorithm>
#include <cctype>
#include <iterator>
#include <string_view>

#include "topology/model/json_text.h"

namespace potluck {
namespace {

using nlohmann::json;

bool is_byte_token(const std::string& t) {
  return t.size() == 6 && t.rfind("<0x", 0) == 0 && isxdigit(static_cast<unsigned char>(t[3])) &&
         isxdigit(static_cast<unsigned char>(t[4])) && t[5] == '>';
}

// The published tokenizer.json of Gemma 4 calls every added token special. These carry what an
// answer says, and the tools that make a GGUF of it type them as user-defined.
bool carries_meaning(const std::string& token) {
  constexpr std::string_view kTokens[] = {"<|channel>",   "<channel|>",       "<|tool_call>",
                                          "<tool_call|>", "<|tool_response>", "<tool_response|>",
                                          "<|\"|>"};
  return std::find(std::begin(kTokens), std::end(kTokens), token) != std::end(kTokens);
}

// ["left", "right"], or "left right" in older files.
std::pair<std::string, std::string> read_merge(const json& merge, const JsonFields& model) {
  if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string())
    return {merge[0].get<std::string>(), merge[1].get<std::string>()};
  const std::string text = merge.is_string() ? merge.get<std::string>() : "";
  const size_t space = text.find(' ', 1);
  if (space == std::string::npos)
    model.refuse("merge " + json_excerpt(merge) + " is not a pair of tokens");
  return {text.substr(0, space), text.substr(space + 1)};
}

class Reader {
 public:
  Reader(const JsonFields& root, int rows) : root_(root) {
    vocabulary_.tokens.resize(rows);
    vocabulary_.types.resize(rows, TokenType::unused);
  }

  Vocabulary read() {
    const JsonFields model = root_.object("model");
    if (model.has("type") && model.text("type") != "BPE")
      model.refuse("a tokenizer of type " + model.text("type"), "potluck reads BPE");
    const JsonFields vocab = model.object("vocab");
    for (const std::string& token : vocab.keys())
      place(vocab.integer(token), token,
            is_byte_token(token) ? TokenType::byte : TokenType::normal);
    const json& merges = model.at("merges");
    if (!merges.is_array())
      model.refuse("\"merges\" is " + json_excerpt(merges), "it must be a list");
    for (const json& merge : merges) vocabulary_.merges.push_back(read_merge(merge, model));
    if (root_.has("added_tokens")) read_added();
    return std::move(vocabulary_);
  }

 private:
  void read_added() {
    const json& added = root_.at("added_tokens");
    if (!added.is_array())
      root_.refuse("\"added_tokens\" is " + json_excerpt(added), "it must be a list");
    for (const json& entry : added) {
      const JsonFields token(entry, root_.file());
      const std::string text = token.text("content");
      const bool special = token.has("special") && token.at("special") == true;
      place(token.integer("id"), text,
            special && !carries_meaning(text) ? TokenType::control : TokenType::user_defined);
    }
  }

  void place(int id, const std::string& token, TokenType type) {
    const size_t rows = vocabulary_.tokens.size(), index = id;
    if (id < 0 || index >= rows)
      root_.refuse("token \"" + token + "\" has the id " + std::to_string(id) +
                       ", the model's table has " + std::to_string(rows) + " rows",
                   "is this tokenizer of another model?");
    vocabulary_.tokens[index] = token;
    vocabulary_.types[index] = type;
  }

  const JsonFields root_;
  Vocabulary vocabulary_;
};

}  // namespace

Vocabulary parse_tokenizer_json(const std::string& text, const std::string& file, int rows) {
  const json root = parse_json(text, file);
  return Reader(JsonFields(root, file), rows).read();
}

}  // namespace potluck
