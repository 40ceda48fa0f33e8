#include "topology/tokenizer_json.h"

#include <nlohmann/json.hpp>

#include "topology/fault.h"

namespace potluck {
namespace {

using nlohmann::json;
constexpr size_t kTokensMax = 1 << 24;

bool is_byte_token(const std::string& t) {
  return t.size() == 6 && t.rfind("<0x", 0) == 0 && isxdigit(static_cast<unsigned char>(t[3])) &&
         isxdigit(static_cast<unsigned char>(t[4])) && t[5] == '>';
}

void place(Vocabulary& v, int64_t id, const std::string& token, TokenType type) {
  if (id < 0 || static_cast<size_t>(id) >= kTokensMax)
    throw Fault(FaultKind::input,
                "token \"" + token + "\" has the impossible id " + std::to_string(id));
  const auto index = static_cast<size_t>(id);
  if (index >= v.tokens.size()) {
    v.tokens.resize(index + 1);
    v.types.resize(index + 1, TokenType::unused);
  }
  v.tokens[index] = token;
  v.types[index] = type;
}

void read_merges(const json& merges, Vocabulary& v) {
  for (const json& merge : merges) {
    if (merge.is_array()) {
      v.merges.emplace_back(merge.at(0).get<std::string>(), merge.at(1).get<std::string>());
      continue;
    }
    const auto text = merge.get<std::string>();
    const size_t space = text.find(' ', 1);
    if (space == std::string::npos)
      throw Fault(FaultKind::input, "merge \"" + text + "\" has no space");
    v.merges.emplace_back(text.substr(0, space), text.substr(space + 1));
  }
}

}  // namespace

Vocabulary parse_tokenizer_json(const std::string& text, const std::string& name) {
  Vocabulary v;
  try {
    const json root = json::parse(text);
    const json& model = root.at("model");
    const std::string type = model.value("type", "BPE");
    if (type != "BPE")
      throw Fault(FaultKind::input, "a tokenizer of type " + type + "; potluck reads BPE");
    for (const auto& [token, id] : model.at("vocab").items())
      place(v, id.get<int64_t>(), token,
            is_byte_token(token) ? TokenType::byte : TokenType::normal);
    read_merges(model.at("merges"), v);
    if (root.contains("added_tokens"))
      for (const json& added : root.at("added_tokens"))
        place(v, added.at("id").get<int64_t>(), added.at("content").get<std::string>(),
              added.value("special", false) ? TokenType::control : TokenType::user_defined);
  } catch (const json::exception& error) {
    throw Fault(FaultKind::input, std::string("not a tokenizer: ") + error.what(), name);
  } catch (const Fault& fault) {
    throw Fault(fault.kind(), fault.text(), name);
  }
  return v;
}

}  // namespace potluck
