// The transports of workers that have a card.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "transport/transport.h"

namespace potluck {

// The transport of a worker with this device: of a card, one whose links the plan may give to NCCL;
// of a CPU, the transport itself.
std::unique_ptr<Transport> with_card_links(std::unique_ptr<Transport> transport,
                                           const std::string& device,
                                           std::function<void(const std::string& line)> log);

}  // namespace potluck
