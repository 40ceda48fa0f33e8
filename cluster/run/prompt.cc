// Reads a prompt from a flag, a file or stdin, checks it, and turns it into ids.
#include "cluster/run/prompt.h"

#include <fmt/format.h>

#include "coordinator/text/chat_template.h"
#include "topology/base/fault.h"
#include "topology/base/utf8.h"
#include "topology/model/mapped_file.h"

namespace potluck {
namespace {

constexpr uint64_t kPromptBytesMax = 64u << 20;

// Some editors and shells put a byte order mark before UTF-8; nobody means to ask it.
std::string without_mark(std::string text) {
  if (text.starts_with("\uFEFF")) text.erase(0, sizeof("\uFEFF") - 1);
  return text;
}

}  // namespace

void check_utf8(const std::string& text, const std::string& where) {
  for (size_t at = 0; at < text.size();) {
    const std::string_view rest = std::string_view(text).substr(at);
    const size_t length = utf8_length(rest);
    if (!utf8_valid(rest.substr(0, length)))
      throw Fault(FaultKind::input,
                  fmt::format("{} is not UTF-8: byte {} is 0x{:02X}; convert it first (iconv -t "
                              "UTF-8)",
                              where, at, static_cast<unsigned char>(text[at])));
    at += length;
  }
}

std::string read_prompt(const RunFlags& flags) {
  const bool file = !flags.prompt_file.empty();
  const std::string text = file
                               ? without_mark(read_text_or_pipe(flags.prompt_file, kPromptBytesMax))
                           : flags.prompt_given ? flags.prompt
                                                : without_mark(read_stdin(kPromptBytesMax));
  const std::string where = file ? flags.prompt_file : flags.prompt_given ? "-p" : "stdin";
  if (text.empty())
    throw Fault(FaultKind::input,
                "the prompt is empty (" + where + "); give -p TEXT, -f FILE, or text on stdin");
  check_utf8(text, where);
  return text;
}

std::vector<int32_t> prompt_ids(const std::string& prompt, const RunFlags& flags,
                                const Tokenizer& tokenizer, const ModelSpec& spec) {
  if (flags.raw) return raw_prompt(tokenizer, prompt, spec.generation);
  std::vector<ChatTurn> turns;
  if (!flags.system_prompt.empty()) turns.push_back({Role::system, flags.system_prompt});
  turns.push_back({Role::user, prompt});
  return chat_prompt(tokenizer, turns, {flags.reasoning == "on"});
}

}  // namespace potluck
