// Escapes in JSON what a terminal would obey.
#include "cluster/cli/json_line.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string_view>

#include "topology/base/utf8.h"

namespace potluck {

std::string json_line(const nlohmann::json& value) {
  const std::string dumped = value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  std::string line;
  for (std::string_view rest = dumped; !rest.empty();) {
    const std::string_view letter = rest.substr(0, utf8_length(rest));
    const char32_t code = code_point(letter);
    line += drives_terminal(code) ? fmt::format("\\u{:04x}", static_cast<uint32_t>(code))
                                  : std::string(letter);
    rest.remove_prefix(letter.size());
  }
  return line;
}

}  // namespace potluck
