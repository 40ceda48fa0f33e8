// Reads fields by their types, and writes the refusals.
#include "topology/plan/plan_yaml_fields.h"

#include <charconv>

#include "topology/base/byte_size.h"
#include "topology/base/fault.h"
#include "topology/base/key.h"
#include "topology/base/suggest.h"
#include "topology/base/text.h"
#include "topology/base/utf8.h"
#include "topology/plan/plan.h"

namespace potluck {
namespace {

// The text with "?" for each letter that no name can have.
std::string visible(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::string_view letter = text.substr(0, utf8_length(text));
    out += is_plain_name(letter) ? letter : "?";
    text.remove_prefix(letter.size());
  }
  return out;
}

}  // namespace

YamlFields::YamlFields(const YamlNode& map, std::string what, const std::string& file)
    : map_(map), what_(std::move(what)), file_(file) {
  if (map.kind != YamlNode::Kind::map)
    refuse(what_ + " has no keys", "write keys with values, like \"name: old-laptop\"", map.line);
}

void YamlFields::refuse(const std::string& why, const std::string& fix, int line) const {
  throw Fault(FaultKind::input, why, Fix{fix}, file_ + ":" + std::to_string(line));
}

void YamlFields::check_keys(std::span<const std::string_view> known) const {
  for (size_t i = 0; i < map_.keys.size(); ++i) {
    const auto& [name, line] = map_.keys[i];
    bool found = false;
    for (std::string_view key : known) found = found || key == name;
    if (!found) refuse("unknown key " + in_quotes(name), suggestion(name, known), line);
    for (size_t j = 0; j < i; ++j)
      if (map_.keys[j].name == name)
        refuse(
            in_quotes(name) + " appears twice, first in line " + std::to_string(map_.keys[j].line),
            "delete one", line);
  }
}

void YamlFields::check_version(const std::string& version) const {
  const YamlNode& node = need("version", "begin the file with \"version: " + version + "\"");
  if (word("version", node) != version)
    refuse("\"version\" is " + in_quotes(node.scalar), "this potluck reads version " + version,
           node.line);
}

const YamlNode* YamlFields::find(std::string_view key) const {
  for (size_t i = 0; i < map_.keys.size(); ++i)
    if (map_.keys[i].name == key) return &map_.items[i];
  return nullptr;
}

const YamlNode& YamlFields::need(const std::string& key, const std::string& fix) const {
  const YamlNode* node = find(key);
  if (!node) refuse(what_ + " has no " + in_quotes(key), fix, map_.line);
  return *node;
}

const YamlNode* YamlFields::find_list(const std::string& key, const std::string& fix) const {
  const YamlNode* node = find(key);
  if (node && node->kind != YamlNode::Kind::sequence)
    refuse(in_quotes(key) + " is not a list", fix, node->line);
  if (node && node->items.empty()) refuse(in_quotes(key) + " is an empty list", fix, node->line);
  return node;
}

void YamlFields::check_name(const std::string& name, size_t bytes_max) const {
  const int at = line_of("name");
  if (name.size() > bytes_max)
    refuse("a \"name\" of " + std::to_string(name.size()) + " bytes",
           "give at most " + std::to_string(bytes_max), at);
  if (!is_plain_name(name))
    refuse("\"name\" is " + in_quotes(visible(name)) + ", with a letter that cannot be seen",
           "write it without", at);
  if (name == kCoordinatorName)
    refuse("\"name\" is " + in_quotes(name) + ", as the coordinator calls itself in logs",
           "give it another name", at);
}

const std::string& YamlFields::word(const std::string& key, const YamlNode& node) const {
  if (node.kind != YamlNode::Kind::scalar || node.scalar.empty())
    refuse(in_quotes(key) + " is " +
               (node.kind == YamlNode::Kind::scalar ? "empty"
                : node.kind == YamlNode::Kind::map  ? "a map"
                                                    : "a list"),
           "it must be one word", node.line);
  return node.scalar;
}

std::string YamlFields::word_or(const std::string& key, const std::string& fallback) const {
  const YamlNode* node = find(key);
  return node ? word(key, *node) : fallback;
}

std::vector<std::string> YamlFields::words(const std::string& key) const {
  const YamlNode* node = find(key);
  std::vector<std::string> all;
  if (!node) return all;
  if (node->kind != YamlNode::Kind::sequence) return {word(key, *node)};
  if (node->items.empty())
    refuse(in_quotes(key) + " is an empty list", "put one word in, or delete it", node->line);
  for (const YamlNode& item : node->items) all.push_back(word(key, item));
  return all;
}

int YamlFields::integer_within(const std::string& key, int fallback, int least, int most) const {
  const YamlNode* node = find(key);
  if (!node) return fallback;
  const std::string& text = word(key, *node);
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::invalid_argument || end != text.data() + text.size())
    refuse(in_quotes(key) + " is " + in_quotes(text), "it must be a whole number", node->line);
  const bool too_long = error == std::errc::result_out_of_range;
  if (too_long || value < least || value > most)
    refuse(in_quotes(key) + " is " + (too_long ? in_quotes(text) : std::to_string(value)),
           "it must be " + std::to_string(least) + " to " + std::to_string(most), node->line);
  return value;
}

bool YamlFields::flag_or(const std::string& key, bool fallback) const {
  const YamlNode* node = find(key);
  if (!node) return fallback;
  const std::string& text = word(key, *node);
  if (text != "true" && text != "false")
    refuse(in_quotes(key) + " is " + in_quotes(text), "it must be true or false", node->line);
  return text == "true";
}

std::string YamlFields::choice_or(const std::string& key, std::span<const std::string_view> choices,
                                  const std::string& fallback) const {
  const YamlNode* node = find(key);
  if (!node) return fallback;
  const std::string& text = word(key, *node);
  for (std::string_view choice : choices)
    if (choice == text) return text;
  refuse(in_quotes(key) + " is " + in_quotes(text), suggestion(text, choices), node->line);
}

Precision YamlFields::precision_or(const std::string& key, Precision fallback) const {
  const YamlNode* node = find(key);
  if (!node) return fallback;
  const std::string& name = word(key, *node);
  if (name == "exact") return Precision::exact;
  if (name == "fast") return Precision::fast;
  refuse(in_quotes(key) + " is " + in_quotes(name), "it can be exact or fast", node->line);
}

uint64_t YamlFields::bytes_or(const std::string& key, uint64_t fallback) const {
  const YamlNode* node = find(key);
  if (!node) return fallback;
  try {
    return parse_bytes(word(key, *node));
  } catch (const Fault& fault) {
    if (!fault.where().empty()) throw;
    refuse(in_quotes(key) + ": " + fault.text(), fault.fix().text, node->line);
  }
}

std::string YamlFields::machine_key(const std::string& key) const {
  const YamlNode* node = find(key);
  if (!node) return "";
  const std::string& text = word(key, *node);
  if (!is_key(text))
    refuse(in_quotes(key) + " is " + in_quotes(text),
           "it must be the " + std::to_string(kKeyDigits) +
               " digits that \"potluck key\" shows on the worker's machine",
           node->line);
  return text;
}

double YamlFields::quantity_or(const std::string& key, double fallback,
                               double (*parse)(const std::string&)) const {
  const YamlNode* node = find(key);
  if (!node) return fallback;
  try {
    return parse(word(key, *node));
  } catch (const Fault& fault) {
    if (!fault.where().empty()) throw;
    refuse(in_quotes(key) + ": " + fault.text(), fault.fix().text, node->line);
  }
}

int YamlFields::line_of(std::string_view key) const {
  const YamlNode* node = find(key);
  return node ? node->line : map_.line;
}

std::optional<std::pair<int, int>> range_in(const std::string& text, char separator) {
  const char* end = text.data() + text.size();
  int first = 0, second = 0;
  const auto read_digits = [end](const char* at, int& value) {
    const bool digit = at != end && *at >= '0' && *at <= '9';
    const auto [after, error] = std::from_chars(at, end, value);
    return digit && error == std::errc() ? after : nullptr;
  };
  const char* middle = read_digits(text.data(), first);
  if (!middle || middle == end || *middle != separator) return std::nullopt;
  if (read_digits(middle + 1, second) != end) return std::nullopt;
  return std::pair(first, second);
}

}  // namespace potluck
