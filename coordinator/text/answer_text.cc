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
  add(tokenizer_.decode(prompt.last(behind), true), {}, of_prompt);
}

AnswerText AnswerReader::push(std::span<const int32_t> ids) {
  AnswerText text;
  for (int32_t id : ids) {
    if (id != open_ && id != close_) {
      add(decoder_.push(id), {&id, 1}, text);
      continue;
    }
    add(decoder_.finish(), {}, text);
    id == open_ ? open(text) : close(text);
  }
  return text;
}

AnswerText AnswerReader::finish() {
  AnswerText text;
  add(decoder_.finish(), {}, text);
  give_up_held(text);
  return text;
}

void AnswerReader::add(const std::string& text, std::span<const int32_t> ids, AnswerText& to) {
  if (part_ == Part::thought) to.thought += text;
  if (part_ == Part::answer) say(text, ids, to);
  if (part_ == Part::thought || part_ == Part::answer) return;
  held_ += text;
  held_ids_.insert(held_ids_.end(), ids.begin(), ids.end());
  part_ == Part::name ? add_name(to) : add_start(to);
}

void AnswerReader::say(const std::string& text, std::span<const int32_t> ids, AnswerText& to) {
  to.answer += text;
  to.ids.insert(to.ids.end(), ids.begin(), ids.end());
}

// A channel's name is its first line. The id that ends it is no part of what is said.
void AnswerReader::add_name(AnswerText& to) {
  const size_t line_end = held_.find('\n');
  if (line_end == std::string::npos) return;
  part_ = is_thought(held_.substr(0, line_end)) ? Part::thought : Part::answer;
  held_ids_.clear();
  add(std::exchange(held_, {}).substr(line_end + 1), {}, to);
}

// A first line "thought" may be the name of a channel whose opener is missing.
void AnswerReader::add_start(AnswerText& to) {
  if (held_.starts_with(kThoughtLine) || kThoughtLine.starts_with(held_)) return;
  part_ = Part::answer;
  say(std::exchange(held_, {}), std::exchange(held_ids_, {}), to);
}

// No closer has come: what an answer begins with is said, and a single word is a name.
void AnswerReader::give_up_held(AnswerText& to) {
  const std::string held = std::exchange(held_, {});
  const std::vector<int32_t> ids = std::exchange(held_ids_, {});
  if (part_ == Part::start || (part_ == Part::name && !is_word(held))) say(held, ids, to);
}

void AnswerReader::open(AnswerText& to) {
  give_up_held(to);
  part_ = Part::name;
}

void AnswerReader::close(AnswerText& to) {
  const bool named = held_.starts_with(kThoughtLine);
  if (part_ == Part::start && (named || held_ == kThought)) {
    if (named) to.thought += held_.substr(kThoughtLine.size());
    held_.clear();
    held_ids_.clear();
  }
  give_up_held(to);
  part_ = Part::answer;
}

AnswerText answer_text(const Tokenizer& tokenizer, std::span<const int32_t> ids) {
  AnswerReader reader(tokenizer);
  AnswerText text = reader.push(ids);
  const AnswerText rest = reader.finish();
  text.thought += rest.thought;
  text.answer += rest.answer;
  text.ids.insert(text.ids.end(), rest.ids.begin(), rest.ids.end());
  return text;
}

}  // namespace potluck
