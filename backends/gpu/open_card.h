// Reaches a card by the name that a plan gives it.
#pragma once

#include <memory>
#include <string>

#include "backends/gpu/gpu_driver.h"

namespace potluck {

// The driver of "cuda:0" or "hip:1", with the code of its card loaded. Throws Fault{input} for a
// name that no driver of this program knows, Fault{world} for a card that cannot be used, and says
// why.
std::unique_ptr<GpuDriver> open_card(const std::string& device);

}  // namespace potluck
