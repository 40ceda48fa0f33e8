// The card of a worker as transport/nccl reaches it.
#pragma once

#include <memory>
#include <string>

#include "backends/gpu/gpu_driver.h"
#include "transport/nccl/card_port.h"

namespace potluck {

// A port of a card of this vendor ("cuda" or "hip"), which this driver reaches.
std::shared_ptr<CardPort> make_card_port(std::unique_ptr<GpuDriver> driver, std::string vendor);
// A port of the card that a plan calls `device`, apart from the Backend that computes there. Throws
// Fault{input | world}.
std::shared_ptr<CardPort> open_card_port(const std::string& device);

}  // namespace potluck
