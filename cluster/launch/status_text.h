// A ring's status, as people read it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace potluck {

inline constexpr char kHere[] = "here";  // the coordinator's machine

// status: a reply to kStatusVerb (ring_messages.h). Several lines, each with its end.
// reach: the flags that lead other commands to that ring (reach_words).
std::string status_text(const nlohmann::json& status, const std::string& reach);

}  // namespace potluck
