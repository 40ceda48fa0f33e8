// JSON from files that others made: nested no deeper than kJsonDepthMax, no key twice in one
// object, and fields by type, so that every refusal names the key and the value found.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace potluck {

inline constexpr uint64_t kJsonBytesMax = 256u << 20;  // the released tokenizer.json has 33 MB
inline constexpr size_t kJsonDepthMax =
    64;  // a model's files have 6; deeper is an attack or damage

// Messages call the text `file`. Throws Fault{input, …, file}.
nlohmann::json parse_json(std::string_view text, const std::string& file);

// The fields of one object, which must outlive this. Every getter throws Fault{input, …, file}.
class JsonFields {
 public:
  JsonFields(const nlohmann::json& object, std::string file);

  std::vector<std::string> keys() const;
  bool has(const std::string& key) const;                  // and it is not null
  const nlohmann::json& at(const std::string& key) const;  // refuses by name if missing
  JsonFields object(const std::string& key) const;
  int integer(const std::string& key) const;
  int integer_or(const std::string& key, int fallback) const;
  double number(const std::string& key) const;
  double number_or(const std::string& key, double fallback) const;
  std::string text(const std::string& key) const;
  std::vector<std::string> texts(const std::string& key) const;
  // One number or a list of them.
  std::vector<int> integers(const std::string& key) const;
  // A list of whole numbers from 0 to 2^63 − 1.
  std::vector<int64_t> sizes(const std::string& key) const;

  const std::string& file() const { return file_; }
  [[noreturn]] void refuse(const std::string& why, const std::string& fix = "") const;

 private:
  [[noreturn]] void refuse_type(const std::string& key, const nlohmann::json& found,
                                const char* wanted) const;
  int to_integer(const nlohmann::json& value, const std::string& key) const;

  const nlohmann::json& object_;
  std::string file_;
};

// A value as a message shows it: on one line, and not all of it when it is long.
std::string json_excerpt(const nlohmann::json& value);

}  // namespace potluck
