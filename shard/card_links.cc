// A transport opens the port of its card when a link is wished for.
#include "shard/card_links.h"

#include <utility>

#include "shard/card_port.h"
#include "topology/plan/plan.h"
#include "transport/nccl/nccl.h"

namespace potluck {

std::unique_ptr<Transport> with_card_links(std::unique_ptr<Transport> transport,
                                           const std::string& device,
                                           std::function<void(const std::string& line)> log) {
  if (card_vendor(device).empty()) return transport;
  NcclOptions options;
  options.open_port = [device] { return open_card_port(device); };
  options.log = std::move(log);
  return make_nccl_transport(std::move(transport), std::move(options));
}

}  // namespace potluck
