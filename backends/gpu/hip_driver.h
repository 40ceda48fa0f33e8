// AMD's HIP runtime, libamdhip64.so of ROCm 5, 6 or 7, opened while the program runs; no header of
// AMD's is needed.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backends/gpu/vendor.h"

namespace potluck {

// The names that the library has, the newest first. Where ROCm was unpacked and not installed, the
// loader does not know its folder.
std::vector<std::string> hip_libraries();

// Opens the first of the libraries that can be loaded. Throws Fault{world} if there is none.
std::unique_ptr<Vendor> load_hip(const std::vector<std::string>& libraries = hip_libraries());

}  // namespace potluck
