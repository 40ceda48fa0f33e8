// A ring's status, as people read it.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace potluck {

// status: a reply to kStatusVerb (ring_messages.h). Several lines, each with its end.
std::string status_text(const nlohmann::json& status);

}  // namespace potluck
