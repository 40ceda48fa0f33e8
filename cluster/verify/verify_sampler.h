// Replays recorded draws through the sampler and the stop rule (tests/golden/sampler.json).
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace potluck {

// {"passed", "cases", "steps", "first_difference"}. Tensors lie beside the JSON.
nlohmann::json verify_sampler(const std::string& json_path);

}  // namespace potluck
