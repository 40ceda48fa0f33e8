// A YAML document as a small tree with line numbers. Anchors, aliases, tags, several documents and
// deep nesting, which potluck's files have no use for, are refused while they are read, so that
// nothing can blow up.
#pragma once

#include <string>
#include <vector>

namespace potluck {

struct YamlKey {
  std::string name;
  int line = 0;
};

struct YamlNode {
  enum class Kind { scalar, sequence, map };
  Kind kind = Kind::scalar;
  int line = 0;  // from 1
  std::string scalar;
  std::vector<YamlKey> keys;    // of a map, one for each item
  std::vector<YamlNode> items;  // of a map or a sequence
};

// Messages call the text `file`. Throws Fault{input, …, "FILE:LINE"}.
YamlNode parse_yaml(const std::string& text, const std::string& file);

}  // namespace potluck
