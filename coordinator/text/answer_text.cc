// Tells thoughts from answers by their channels, while ids come in.
#include "coordinator/text/answer_text.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace potluck {
namespace {

constexpr std::string_view kThought = "thought";
constexpr std::string_view kThoughtLine = "thought\n";

bool is_thought(std::string_view name) {
  return name.empty() || name == kThought;
}

// A channel that ends in its first line holds nothing if that line is a name.
bool is_word(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
}

}  // namespace

AnswerReader::AnswerReader(const Tokenizer& tokenizer, std::span<const int32_t> prompt)
    : tokenizer_(tokenizer),
      decoder_(tokenizer),
      open_(tokenizer.id_of("<|channel>")),
      close_(tokenizer.id_of("<channel|>")) {
  go_on_from(prompt);
}

// A prompt that ends within a channel leaves the answer there.
void AnswerReader::go_on_from(std::span<const int32_t> prompt) {
  const auto is_mark = [this](int32_t id) { return id == open_ || id == close_; };
  const auto last = std::find_if(prompt.rbegin(), prompt.rend(), is_mark);
  if (last == prompt.rend() || *last != open_) return;
  const size_t behind = std::distance(prompt.rbegin(), last);
  AnswerText of_prompt;
  open(of_prompt);
  add(tokenizer_.decode(prompt.last(behind), true), of_prompt);
}

AnswerText AnswerReader::push(std::span<const int32_t> ids) {
  AnswerText text;
  for (int32_t id : ids) {
    if (id != open_ && id != close_) {
      add(decoder_.push(id), text);
      continue;
    }
    add(decoder_.finish(), text);
    id == open_ ? open(text) : close(text);
  }
  return text;
}

AnswerText AnswerReader::finish() {
  AnswerText text;
  add(decoder_.finish(), text);
  give_up_held(text);
  return text;
}

void AnswerReader::add(const std::string& text, AnswerText& to) {
  if (part_ == Part::thought) to.thought += text;
  if (part_ == Part::answer) to.answer += text;
  if (part_ == Part::thought || part_ == Part::answer) return;
  held_ += text;
  part_ == Part::name ? add_name(to) : add_start(to);
}

// A channel's name is its first line.
void AnswerReader::add_name(AnswerText& to) {
  const size_t line_end = held_.find('\n');
  if (line_end == std::string::npos) return;
  part_ = is_thought(held_.substr(0, line_end)) ? Part::thought : Part::answer;
  add(std::exchange(held_, {}).substr(line_end + 1), to);
}

// A first line "thought" may be the name of a channel whose opener is missing.
void AnswerReader::add_start(AnswerText& to) {
  if (held_.starts_with(kThoughtLine) || kThoughtLine.starts_with(held_)) return;
  part_ = Part::answer;
  add(std::exchange(held_, {}), to);
}

// No closer has come: what an answer begins with is said, and a single word is a name.
void AnswerReader::give_up_held(AnswerText& to) {
  const std::string held = std::exchange(held_, {});
  if (part_ == Part::start || (part_ == Part::name && !is_word(held))) to.answer += held;
}

void AnswerReader::open(AnswerText& to) {
  give_up_held(to);
  part_ = Part::name;
}

void AnswerReader::close(AnswerText& to) {
  if (part_ == Part::start && held_.starts_with(kThoughtLine))
    to.thought += std::exchange(held_, {}).substr(kThoughtLine.size());
  if (part_ == Part::start && held_ == kThought) held_.clear();
  give_up_held(to);
  part_ = Part::answer;
}

namespace {

// Ids between two channel tokens, or an end of the answer.
struct Stretch {
  std::span<const int32_t> ids;
  bool first = false, opened = false, closed = false;
};

// Gives what is said of it, as AnswerReader decides.
std::span<const int32_t> said(const Tokenizer& tokenizer, const Stretch& stretch) {
  const std::string text = tokenizer.decode(stretch.ids, true);
  if (!stretch.opened) {
    const bool thought =
        stretch.first && stretch.closed && (text.starts_with(kThoughtLine) || text == kThought);
    return thought ? std::span<const int32_t>{} : stretch.ids;
  }
  const size_t line_end = text.find('\n');
  if (line_end == std::string::npos)
    return is_word(text) ? std::span<const int32_t>{} : stretch.ids;
  if (is_thought(text.substr(0, line_end))) return {};
  size_t named = 1;
  while (tokenizer.decode(stretch.ids.first(named), true).find('\n') == std::string::npos) ++named;
  return stretch.ids.subspan(named);
}

}  // namespace

std::vector<int32_t> spoken_ids(const Tokenizer& tokenizer, std::span<const int32_t> ids) {
  const int32_t open = tokenizer.id_of("<|channel>"), close = tokenizer.id_of("<channel|>");
  std::vector<int32_t> spoken;
  bool first = true, opened = false;
  for (;;) {
    const auto mark =
        std::find_if(ids.begin(), ids.end(), [=](int32_t id) { return id == open || id == close; });
    const size_t length = std::distance(ids.begin(), mark);
    const bool closed = mark != ids.end() && *mark == close;
    const std::span<const int32_t> kept =
        said(tokenizer, {ids.first(length), first, opened, closed});
    spoken.insert(spoken.end(), kept.begin(), kept.end());
    if (mark == ids.end()) return spoken;
    first = false;
    opened = *mark == open;
    ids = ids.subspan(length + 1);
  }
}

AnswerText answer_text(const Tokenizer& tokenizer, std::span<const int32_t> ids) {
  AnswerReader reader(tokenizer);
  AnswerText text = reader.push(ids);
  const AnswerText rest = reader.finish();
  return {text.thought + rest.thought, text.answer + rest.answer};
}

}  // namespace potluck
