// The card of a worker as transport/nccl reaches it, and the transports of workers that have one.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "backends/gpu/gpu_driver.h"
#include "transport/nccl/card_port.h"
#include "transport/transport.h"

namespace potluck {

// A port of a card of this vendor ("cuda" or "hip"), which this driver reaches.
std::shared_ptr<CardPort> make_card_port(std::unique_ptr<GpuDriver> driver, std::string vendor);
// A port of the card that a plan calls `device`, apart from the Backend that computes there. Throws
// Fault{input | world}.
std::shared_ptr<CardPort> open_card_port(const std::string& device);

// The transport of a worker with this device: of a card, one whose links the plan may give to NCCL;
// of a CPU, the transport itself.
std::unique_ptr<Transport> with_card_links(std::unique_ptr<Transport> transport,
                                           const std::string& device,
                                           std::function<void(const std::string& line)> log);

}  // namespace potluck
