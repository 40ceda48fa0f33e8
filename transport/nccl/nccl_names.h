// Where the libraries of NCCL are looked for.
#pragma once

#include <string>
#include <vector>

namespace potluck {

// For cards of a vendor, "cuda" or "hip".
std::vector<std::string> nccl_names(const std::string& vendor);

}  // namespace potluck
