// JSON as commands print it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace potluck {

// The value in one line. Bytes that are no UTF-8 become U+FFFD, and what drives a terminal
// (drives_terminal()) is escaped: for a reader of JSON that is the same text.
std::string json_line(const nlohmann::json& value);

}  // namespace potluck
