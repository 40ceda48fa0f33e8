// PrivateFile: a file in a folder of the person's, which nobody else may read, and which one
// process changes at a time.
#pragma once

#include <functional>
#include <optional>
#include <string>

namespace potluck {

class PrivateFile final {
 public:
  // folder: made when something is written; empty where the environment names none.
  PrivateFile(std::string folder, const std::string& name);

  const std::string& path() const { return path_; }
  // Its text; none if it is not there. Throws Fault{input} for one that others can read, and
  // Fault{world} for one that cannot be read or is larger than kPrivateBytesMax.
  std::optional<std::string> read() const;
  // Gives `edit` the text and puts its answer in the text's place, whole or not at all. No other
  // process changes a file of the folder meanwhile. Throws as read(), and what `edit` throws.
  void change(const std::function<std::string(const std::optional<std::string>& text)>& edit) const;
  // Takes it away, if it is there.
  void remove() const;

 private:
  void write(const std::string& text) const;

  const std::string folder_, path_;
};

// Makes a folder that nobody else may enter, and those above it. Throws Fault{world}.
void make_private_folder(const std::string& folder);

inline constexpr size_t kPrivateBytesMax = 16u << 20;

}  // namespace potluck
