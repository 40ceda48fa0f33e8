// Builds a small tree from a YAML parser's events.
#include "topology/plan/plan_yaml_tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <sstream>

#include "topology/base/fault.h"
#include "topology/base/utf8.h"

namespace potluck {
namespace {

constexpr size_t kDepthMax = 8;           // a plan has 3, a cluster 6
constexpr size_t kScalarBytesMax = 4096;  // the longest path of an endpoint

[[noreturn]] void refuse(const std::string& why, const std::string& fix, const std::string& file,
                         int line) {
  throw Fault(FaultKind::input, why, Fix{fix}, file + ":" + std::to_string(line));
}

// Builds the tree as the parser goes. `open_` holds the maps and sequences around the place; none
// of their vectors grows while a child is open, so the pointers stay good.
class TreeBuilder final : public YAML::EventHandler {
 public:
  explicit TreeBuilder(std::string file) : file_(std::move(file)) {}
  YamlNode take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) refuse("a second document begins here", "keep one a file", mark);
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override {
    if (expects_key()) refuse("a key is missing before \":\"", "write one", mark);
    if (open_.empty() || open_.back()->kind != YamlNode::Kind::map)
      refuse("a value is missing", "give one", mark);
    const YamlKey& key = open_.back()->keys.back();
    potluck::refuse("\"" + key.name + "\" has no value", "give one or delete it", file_, key.line);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { refuse_anchor(mark); }
  void OnAnchor(const YAML::Mark& mark, const std::string&) override { refuse_anchor(mark); }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                const std::string& value) override {
    check_tag(tag, mark);
    if (value.size() > kScalarBytesMax)
      refuse("a value has " + std::to_string(value.size()) + " bytes",
             "give at most " + std::to_string(kScalarBytesMax), mark);
    if (std::any_of(value.begin(), value.end(),
                    [](unsigned char c) { return c < 0x20 || c == 0x7F; }))
      refuse("a value has a line break or control character", "write it on one line", mark);
    if (expects_key())
      open_.back()->keys.push_back({value, mark.line + 1});
    else
      add(YamlNode::Kind::scalar, mark).scalar = value;
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    enter(YamlNode::Kind::sequence, tag, mark);
  }
  void OnSequenceEnd() override { open_.pop_back(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {
    enter(YamlNode::Kind::map, tag, mark);
  }
  void OnMapEnd() override { open_.pop_back(); }

 private:
  [[noreturn]] void refuse(const std::string& why, const std::string& fix,
                           const YAML::Mark& mark) const {
    potluck::refuse(why, fix, file_, mark.line + 1);
  }
  [[noreturn]] void refuse_anchor(const YAML::Mark& mark) const {
    refuse("anchors (&) and aliases (*) are not used here", "write the value out", mark);
  }
  // "?" and "!" are the parser's own, of plain and quoted scalars.
  void check_tag(const std::string& tag, const YAML::Mark& mark) const {
    if (!tag.empty() && tag != "?" && tag != "!")
      refuse("tags (\"" + tag + "\") are not used here", "delete it", mark);
  }
  bool expects_key() const {
    return !open_.empty() && open_.back()->kind == YamlNode::Kind::map &&
           open_.back()->keys.size() == open_.back()->items.size();
  }
  YamlNode& add(YamlNode::Kind kind, const YAML::Mark& mark) {
    if (expects_key())
      refuse("a key is a list or a map",
             "it must be one word; see that brackets and quotes are closed", mark);
    YamlNode* node = &root_;
    if (!open_.empty()) node = &open_.back()->items.emplace_back();
    node->kind = kind;
    node->line = mark.line + 1;
    return *node;
  }
  void enter(YamlNode::Kind kind, const std::string& tag, const YAML::Mark& mark) {
    check_tag(tag, mark);
    if (open_.size() == kDepthMax)
      refuse("the file is nested more than " + std::to_string(kDepthMax) + " deep",
             "nothing here needs more than 6", mark);
    open_.push_back(&add(kind, mark));
  }

  std::string file_;
  YamlNode root_;
  std::vector<YamlNode*> open_;
  int documents_ = 0;
};

// Refuses text that the parser would misread, or read without a word.
void check_text(const std::string& text, const std::string& file) {
  std::istringstream lines(text);
  int number = 1;
  for (std::string line; std::getline(lines, line); ++number) {
    if (!utf8_valid(line))
      refuse("this is not valid UTF-8", "save the file as UTF-8", file, number);
    if (line.find('\0') != std::string::npos)
      refuse("this line holds a NUL byte", "is this a text file?", file, number);
    const size_t text_at = line.find_first_not_of(' ');
    if (text_at != std::string::npos && line[text_at] == '\t')
      refuse("this line begins with a tab", "indent with spaces", file, number);
  }
}

}  // namespace

YamlNode parse_yaml(const std::string& text, const std::string& file) {
  check_text(text, file);
  TreeBuilder builder(file);
  std::istringstream stream(text);
  try {
    YAML::Parser parser(stream);
    if (!parser.HandleNextDocument(builder))
      refuse("the file is empty", "begin it with \"version: 1\"", file, 1);
    while (parser.HandleNextDocument(builder)) continue;
  } catch (const YAML::Exception& error) {
    refuse("this is not YAML: " + error.msg,
           "see that brackets and quotes are closed, and that items of one list are indented alike",
           file, std::max(error.mark.line, 0) + 1);
  }
  return builder.take();
}

}  // namespace potluck
