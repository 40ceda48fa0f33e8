// Reads tokens, their types and merges from tokenizer.json.
#include "topology/model/tokenizer_json.h"

#include <algorithm>
#include <cctype>
#include <iterator>
#include <set>
#include <string_view>

#include "topology/model/json_text.h"

namespace potluck {
namespace {

using nlohmann::json;

constexpr char kSpace[] = "\u2581";

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
    check_model(model);
    check_steps();
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
      const int id = token.integer("id");
      for (const char* how : {"lstrip", "rstrip", "single_word"})
        if (token.has(how) && token.at(how) == true)
          token.refuse("added token \"" + text + "\" has \"" + how + "\" true",
                       "potluck finds added tokens verbatim");
      if (id >= std::ssize(vocabulary_.tokens))
        vocabulary_.notes.push_back(past_table_note(text, id, vocabulary_.tokens.size()));
      else
        place(id, text,
              special && !carries_meaning(text) ? TokenType::control : TokenType::user_defined);
    }
  }

  // Checks the BPE itself.
  void check_model(const JsonFields& model) const {
    const auto must_be = [&](const char* key, const json& wanted) {
      if (model.has(key) && model.at(key) != wanted)
        model.refuse(std::string("\"") + key + "\" is " + json_excerpt(model.at(key)),
                     "potluck's tokenizer has " + wanted.dump());
    };
    if (model.has("dropout")) must_be("dropout", 0);
    must_be("continuing_subword_prefix", "");
    must_be("end_of_word_suffix", "");
    must_be("ignore_merges", false);
    must_be("byte_fallback", true);
  }

  // Checks what is done to a text before and after: spaces become U+2581 and come back, no more.
  void check_steps() const {
    const json space = {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", kSpace}};
    if (root_.has("normalizer") && root_.at("normalizer") != space)
      root_.refuse("\"normalizer\" is " + type_of(root_.at("normalizer")),
                   "potluck's tokenizer replaces a space by U+2581, and nothing else");
    if (root_.has("pre_tokenizer")) {
      const json& split = root_.at("pre_tokenizer");
      const json literal = {{"String", " "}};  // which there is none of any more
      if (type_of(split) != "Split" || !split.contains("pattern") || split["pattern"] != literal)
        root_.refuse("\"pre_tokenizer\" is " + type_of(split),
                     "potluck's tokenizer merges across the whole text");
    }
    if (root_.has("decoder")) check_decoder(root_.at("decoder"));
  }

  void check_decoder(const json& decoder) const {
    static const std::set<std::string> kKnown = {"Replace", "ByteFallback", "Fuse"};
    const bool sequence = type_of(decoder) == "Sequence" && decoder.contains("decoders") &&
                          decoder["decoders"].is_array();
    for (const json& step : sequence ? decoder["decoders"] : json::array({decoder}))
      if (!kKnown.count(type_of(step)))
        root_.refuse("\"decoder\" has " + type_of(step),
                     "potluck's tokenizer joins bytes and puts spaces back, and nothing else");
  }

  static std::string type_of(const json& step) {
    const bool typed = step.is_object() && step.contains("type") && step["type"].is_string();
    return typed ? step["type"].get<std::string>() : json_excerpt(step);
  }

  void place(int id, const std::string& token, TokenType type) {
    const size_t rows = vocabulary_.tokens.size(), index = id;
    if (id < 0 || index >= rows)
      root_.refuse("token \"" + token + "\" has the id " + std::to_string(id) +
                       ", the model's table has " + std::to_string(rows) + " rows",
                   "is this tokenizer of another model?");
    std::string& there = vocabulary_.tokens[index];
    if (!there.empty() && there != token)
      root_.refuse(
          "tokens \"" + there + "\" and \"" + token + "\" have the same id " + std::to_string(id),
          "take another file of the model");
    there = token;
    vocabulary_.types[index] = type;
  }

  const JsonFields root_;
  Vocabulary vocabulary_;
};

}  // namespace

std::string past_table_note(const std::string& token, size_t id, size_t rows) {
  return "left out the token \"" + token + "\" (id " + std::to_string(id) +
         "): the model's table has " + std::to_string(rows) + " rows";
}

Vocabulary parse_tokenizer_json(const std::string& text, const std::string& file, int rows) {
  const json root = parse_json(text, file);
  return Reader(JsonFields(root, file), rows).read();
}

}  // namespace potluck
