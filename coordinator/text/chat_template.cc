// Builds prompts from pieces, of which only the frame's own may hold special tokens.
#include "coordinator/text/chat_template.h"

#include <utility>

#include "topology/base/fault.h"

namespace potluck {
namespace {

// A piece of the prompt: the frame's own text, whose specials count, or somebody's words.
struct Piece {
  std::string text;
  bool frame;
};

std::string trim(const std::string& text) {
  constexpr char kBlank[] = " \t\r\n\v\f";
  const size_t first = text.find_first_not_of(kBlank);
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

const char* role_name(Role role) {
  return role == Role::model ? "model" : role == Role::user ? "user" : "system";
}

void add(std::vector<Piece>& pieces, std::vector<Piece> more) {
  for (Piece& piece : more) pieces.push_back(std::move(piece));
}

std::vector<Piece> opening(const std::string* system, const ChatOptions& options) {
  std::vector<Piece> pieces = {{"<bos>", true}};
  if (!system && !options.reasoning) return pieces;
  pieces.push_back({"<|turn>system\n", true});
  if (options.reasoning) pieces.push_back({"<|think|>\n", true});
  if (system) pieces.push_back({trim(*system), false});
  pieces.push_back({"<turn|>\n", true});
  return pieces;
}

std::vector<Piece> user_turn(const std::string& text) {
  return {{"<|turn>user\n", true}, {trim(text), false}, {"<turn|>\n", true}};
}

std::vector<Piece> generation_prompt(const ChatOptions& options) {
  std::vector<Piece> pieces = {{"<|turn>model\n", true}};
  if (!options.reasoning) pieces.push_back({"<|channel>thought\n<channel|>", true});
  return pieces;
}

std::vector<Piece> pieces_of(const std::vector<ChatTurn>& turns, const ChatOptions& options) {
  const bool system = !turns.empty() && turns[0].role == Role::system;
  std::vector<Piece> pieces = opening(system ? &turns[0].text : nullptr, options);
  for (size_t i = system ? 1 : 0; i < turns.size(); ++i) {
    const Role role = turns[i].role;
    const bool model = role == Role::model;
    // Consecutive answers share one model turn.
    if (!model || i == 0 || turns[i - 1].role != Role::model)
      pieces.push_back({std::string("<|turn>") + role_name(role) + "\n", true});
    pieces.push_back({trim(model ? strip_reasoning(turns[i].text) : turns[i].text), false});
    if (!model || i + 1 == turns.size() || turns[i + 1].role != Role::model)
      pieces.push_back({"<turn|>\n", true});
  }
  add(pieces, generation_prompt(options));
  return pieces;
}

std::vector<int32_t> ids_of(const Tokenizer& tokenizer, const std::vector<Piece>& pieces) {
  std::vector<int32_t> ids;
  for (const Piece& piece : pieces) {
    const std::vector<int32_t> part = tokenizer.encode(piece.text, piece.frame);
    ids.insert(ids.end(), part.begin(), part.end());
  }
  return ids;
}

}  // namespace

void check_chat_tokens(const Tokenizer& tokenizer, const ChatOptions& options) {
  std::vector<const char*> needed = {"<bos>", "<|turn>", "<turn|>", "<|channel>", "<channel|>"};
  if (options.reasoning) needed.push_back("<|think|>");
  for (const char* token : needed)
    if (const int32_t id = tokenizer.id_of(token); id < 0 || !tokenizer.is_special(id))
      throw Fault(FaultKind::input,
                  std::string("the vocabulary has no special token ") + token +
                      ", which the chat format needs",
                  Fix{"give the prompt without the chat format", Setting::chat_format});
}

std::vector<int32_t> chat_prompt(const Tokenizer& tokenizer, const std::vector<ChatTurn>& turns,
                                 const ChatOptions& options) {
  check_chat_tokens(tokenizer, options);
  return ids_of(tokenizer, pieces_of(turns, options));
}

std::vector<int32_t> chat_opening(const Tokenizer& tokenizer, const std::string& system,
                                  const ChatOptions& options) {
  check_chat_tokens(tokenizer, options);
  return ids_of(tokenizer, opening(system.empty() ? nullptr : &system, options));
}

std::vector<int32_t> chat_question(const Tokenizer& tokenizer, const std::string& text,
                                   const ChatOptions& options) {
  std::vector<Piece> pieces = user_turn(text);
  add(pieces, generation_prompt(options));
  return ids_of(tokenizer, pieces);
}

std::vector<int32_t> chat_turn_end(const Tokenizer& tokenizer) {
  return ids_of(tokenizer, {{"<turn|>\n", true}});
}

std::string chat_text(const std::vector<ChatTurn>& turns, const ChatOptions& options) {
  std::string text;
  for (const Piece& piece : pieces_of(turns, options)) text += piece.text;
  return text;
}

std::vector<int32_t> raw_prompt(const Tokenizer& tokenizer, const std::string& text,
                                int32_t bos_id) {
  std::vector<int32_t> ids = {bos_id};
  const std::vector<int32_t> rest = tokenizer.encode(text, true);
  ids.insert(ids.end(), rest.begin(), rest.end());
  return ids;
}

std::string strip_reasoning(const std::string& answer) {
  constexpr char kOpen[] = "<|channel>", kClose[] = "<channel|>";
  std::string text = answer;
  for (size_t open = text.find(kOpen); open != std::string::npos; open = text.find(kOpen)) {
    const size_t close = text.find(kClose, open);
    text.erase(open, close == std::string::npos ? close : close + sizeof(kClose) - 1 - open);
  }
  return text;
}

}  // namespace potluck
