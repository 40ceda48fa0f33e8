// Reads a prompt from a flag, a file or stdin, checks it, and turns it into ids.
#include "cluster/run/prompt.h"

#include <fmt/format.h>

#include <iostream>
#include <iterator>

#include "coordinator/text/chat_template.h"
#include "topology/base/fault.h"
#include "topology/base/utf8.h"
#include "topology/model/mapped_file.h"

namespace potluck {
namespace {

constexpr uint64_t kPromptBytesMax = 64u << 20;

std::string read_stdin() {
  std::string text{std::istreambuf_iterator<char>(std::cin), {}};
  if (text.size() > kPromptBytesMax)
    throw Fault(FaultKind::input, fmt::format("stdin has {} bytes; a prompt has at most {}",
                                              text.size(), kPromptBytesMax));
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
  const std::string text = file                 ? read_text_file(flags.prompt_file, kPromptBytesMax)
                           : flags.prompt_given ? flags.prompt
                                                : read_stdin();
  const std::string where = file ? flags.prompt_file : flags.prompt_given ? "-p" : "stdin";
  if (text.empty())
    throw Fault(FaultKind::input,
                "the prompt is empty (" + where + "); give -p TEXT, -f FILE, or text on stdin");
  check_utf8(text, where);
  return text;
}

std::vector<int32_t> prompt_ids(const std::string& prompt, const RunFlags& flags,
                                const Tokenizer& tokenizer, const ModelSpec& spec) {
  if (flags.raw) return raw_prompt(tokenizer, prompt, spec.generation.bos_id);
  std::vector<ChatTurn> turns;
  if (!flags.system_prompt.empty()) turns.push_back({Role::system, flags.system_prompt});
  turns.push_back({Role::user, prompt});
  return chat_prompt(tokenizer, turns, {flags.reasoning == "on"});
}

}  // namespace potluck
