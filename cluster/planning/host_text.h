// A machine's report as lines for people.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace potluck {

// All but the findings. report: host_report()'s.
std::vector<std::string> host_lines(const nlohmann::ordered_json& report);

// Its model, and what its devices carry and how fast they are.
std::vector<std::string> host_device_lines(const nlohmann::ordered_json& report);

}  // namespace potluck
