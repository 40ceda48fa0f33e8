// Parses JSON event by event, and reads its fields by type.
#include "topology/model/json_text.h"

#include <limits>

#include "topology/base/fault.h"

namespace potluck {
namespace {

using nlohmann::json;
constexpr size_t kExcerptBytes = 60;

// "[json.exception.parse_error.101] parse error at …" without the bracket.
std::string plain_text(const json::exception& error) {
  const std::string text = error.what();
  const size_t bracket = text.find("] ");
  return bracket == std::string::npos ? text : text.substr(bracket + 2);
}

// Builds the tree event by event. `open_` holds the arrays and objects around the place; a parent
// never grows while its child is open, so the pointers stay good.
class TreeBuilder final : public nlohmann::json_sax<json> {
 public:
  explicit TreeBuilder(const std::string& file) : file_(file) {}
  json take() { return std::move(root_); }

  bool null() override { return add(nullptr); }
  bool boolean(bool value) override { return add(value); }
  bool number_integer(number_integer_t value) override { return add(value); }
  bool number_unsigned(number_unsigned_t value) override { return add(value); }
  bool number_float(number_float_t value, const string_t&) override { return add(value); }
  bool string(string_t& value) override { return add(std::move(value)); }
  bool binary(binary_t&) override { return false; }  // not in JSON text
  bool start_object(size_t) override { return enter(json::object()); }
  bool start_array(size_t) override { return enter(json::array()); }
  bool end_object() override { return leave(); }
  bool end_array() override { return leave(); }

  bool key(string_t& name) override {
    const auto [place, fresh] = open_.back()->get_ref<json::object_t&>().emplace(name, nullptr);
    if (!fresh) refuse("\"" + name + "\" appears twice", "download the file again");
    value_ = &place->second;
    return true;
  }
  bool parse_error(size_t, const std::string&, const json::exception& error) override {
    refuse("not valid JSON: " + plain_text(error), "download it again");
  }

 private:
  [[noreturn]] void refuse(const std::string& why, const std::string& fix) const {
    throw Fault(FaultKind::input, why, Fix{fix}, file_);
  }
  json& place(json&& value) {
    if (open_.empty()) return root_ = std::move(value);
    if (open_.back()->is_object()) return *value_ = std::move(value);
    return open_.back()->emplace_back(std::move(value));
  }
  bool add(json value) {
    place(std::move(value));
    return true;
  }
  bool enter(json container) {
    if (open_.size() == kJsonDepthMax)
      refuse("JSON nested more than " + std::to_string(kJsonDepthMax) + " deep",
             "download it again");
    open_.push_back(&place(std::move(container)));
    return true;
  }
  bool leave() {
    open_.pop_back();
    return true;
  }

  const std::string& file_;
  json root_;
  std::vector<json*> open_;
  json* value_ = nullptr;  // of the key read last
};

}  // namespace

json parse_json(std::string_view text, const std::string& file) {
  TreeBuilder builder(file);
  json::sax_parse(text, &builder);
  return builder.take();
}

std::string json_excerpt(const json& value) {
  if (value.is_structured()) return value.is_array() ? "a list" : "an object";
  std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
  return text.size() <= kExcerptBytes ? text : text.substr(0, kExcerptBytes) + "…";
}

JsonFields::JsonFields(const json& object, std::string file)
    : object_(object), file_(std::move(file)) {
  if (!object_.is_object()) refuse("holds " + json_excerpt(object_) + " where an object must be");
}

void JsonFields::refuse(const std::string& why, const std::string& fix) const {
  throw Fault(FaultKind::input, why, Fix{fix}, file_);
}

void JsonFields::refuse_type(const std::string& key, const json& found, const char* wanted) const {
  refuse("\"" + key + "\" is " + json_excerpt(found), std::string("it must be ") + wanted);
}

std::vector<std::string> JsonFields::keys() const {
  std::vector<std::string> keys;
  for (const auto& [key, value] : object_.items()) keys.push_back(key);
  return keys;
}

bool JsonFields::has(const std::string& key) const {
  const auto found = object_.find(key);
  return found != object_.end() && !found->is_null();
}

const json& JsonFields::at(const std::string& key) const {
  const auto found = object_.find(key);
  if (found == object_.end())
    refuse("\"" + key + "\" is missing", "is this a DiffusionGemma model?");
  return *found;
}

JsonFields JsonFields::object(const std::string& key) const {
  const json& value = at(key);
  if (!value.is_object()) refuse_type(key, value, "an object");
  return {value, file_};
}

int JsonFields::to_integer(const json& value, const std::string& key) const {
  constexpr int kMax = std::numeric_limits<int>::max();
  const bool fits = value.is_number_unsigned() ? value.get<uint64_t>() <= kMax
                    : value.is_number_integer()
                        ? value.get<int64_t>() >= -kMax && value.get<int64_t>() <= kMax
                        : false;
  if (!fits) refuse_type(key, value, "a whole number of 32 bits");
  return value.get<int>();
}

int JsonFields::integer(const std::string& key) const {
  return to_integer(at(key), key);
}

int JsonFields::integer_or(const std::string& key, int fallback) const {
  return has(key) ? integer(key) : fallback;
}

double JsonFields::number(const std::string& key) const {
  const json& value = at(key);
  if (!value.is_number()) refuse_type(key, value, "a number");
  return value.get<double>();
}

double JsonFields::number_or(const std::string& key, double fallback) const {
  return has(key) ? number(key) : fallback;
}

std::string JsonFields::text(const std::string& key) const {
  const json& value = at(key);
  if (!value.is_string()) refuse_type(key, value, "a text");
  return value.get<std::string>();
}

std::vector<std::string> JsonFields::texts(const std::string& key) const {
  const json& values = at(key);
  if (!values.is_array()) refuse_type(key, values, "a list of texts");
  std::vector<std::string> texts;
  for (const json& value : values) {
    if (!value.is_string()) refuse_type(key, value, "a list of texts");
    texts.push_back(value.get<std::string>());
  }
  return texts;
}

std::vector<int> JsonFields::integers(const std::string& key) const {
  const json& values = at(key);
  if (!values.is_array()) return {to_integer(values, key)};
  std::vector<int> integers;
  for (const json& value : values) integers.push_back(to_integer(value, key));
  return integers;
}

std::vector<int64_t> JsonFields::sizes(const std::string& key) const {
  const json& values = at(key);
  if (!values.is_array()) refuse_type(key, values, "a list of sizes");
  std::vector<int64_t> sizes;
  for (const json& value : values) {
    if (!value.is_number_unsigned() ||
        value.get<uint64_t>() > (std::numeric_limits<int64_t>::max()))
      refuse_type(key, value, "a list of sizes");
    sizes.push_back(value.get<int64_t>());
  }
  return sizes;
}

}  // namespace potluck
