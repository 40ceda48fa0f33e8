// CUDA's driver, libcuda.so.1, opened while the program runs; no header of NVIDIA's is needed.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backends/gpu/vendor.h"

namespace potluck {

std::vector<std::string> cuda_libraries();  // the name that the library has

// Opens the first of the libraries that can be loaded. Throws Fault{world} if there is none, or if
// it is older than CUDA 12.0.
std::unique_ptr<Vendor> load_cuda(const std::vector<std::string>& libraries = cuda_libraries());

}  // namespace potluck
