// The fields of one map of a YAML file, each read by its type. Whatever is refused is refused with
// file, line, name, value and fix.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "topology/base/dtype.h"
#include "topology/plan/plan_yaml_tree.h"

namespace potluck {

class YamlFields final {
 public:
  // what names the map in messages: "the plan", "stage 2", "host \"nas\"". The node and the file's
  // name outlive this. Throws Fault{input} if the node is no map, as all methods do for what they
  // find wrong.
  YamlFields(const YamlNode& map, std::string what, const std::string& file);

  [[noreturn]] void refuse(const std::string& why, const std::string& fix, int line) const;
  void check_keys(std::span<const std::string_view> known) const;  // and that none appears twice
  void check_version(const std::string& version) const;

  const YamlNode* find(std::string_view key) const;  // nullptr: the map does not have it
  const YamlNode& need(const std::string& key, const std::string& fix) const;
  const YamlNode* find_list(const std::string& key, const std::string& fix) const;  // not empty

  // Refuses what can be the name of nothing (is_plain_name), and the coordinator's own.
  void check_name(const std::string& name, size_t bytes_max) const;
  const std::string& word(const std::string& key, const YamlNode& node) const;
  std::string word_or(const std::string& key, const std::string& fallback) const;
  std::vector<std::string> words(const std::string& key) const;  // of one word, or of a list
  int integer_within(const std::string& key, int fallback, int least, int most) const;
  bool flag_or(const std::string& key, bool fallback) const;  // true or false
  // One of the choices; what is not gets the nearest.
  std::string choice_or(const std::string& key, std::span<const std::string_view> choices,
                        const std::string& fallback) const;
  Precision precision_or(const std::string& key, Precision fallback) const;
  uint64_t bytes_or(const std::string& key, uint64_t fallback) const;  // "6GiB"
  std::string machine_key(const std::string& key) const;  // 64 digits; empty without the field
  // A quantity that `parse` reads, which throws Fault{input} for what is none.
  double quantity_or(const std::string& key, double fallback,
                     double (*parse)(const std::string&)) const;

  int line() const { return map_.line; }
  int line_of(std::string_view key) const;  // the map's own without the field
  const std::string& what() const { return what_; }
  const std::string& file() const { return file_; }

 private:
  const YamlNode& map_;
  std::string what_;
  const std::string& file_;
};

// "3:6" as 3 and 6: two whole numbers of digits, with the separator between; nothing for any other
// text.
std::optional<std::pair<int, int>> range_in(const std::string& text, char separator);

}  // namespace potluck
