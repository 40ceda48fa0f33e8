// Transport by NCCL, around another transport: what a worker sends on can go from its card to the
// card of the next worker, where both are of one vendor, and reach no host on the way. Headers, and
// all payloads of host memory, go through the transport below, which also takes over when NCCL
// fails. NCCL itself knows no peer that dies: a call waits for it for ever, so all such calls are
// made by threads that can be told to abort (communicator.h).
//
// A link is made by a worker's wish, which is a message of kind card_link to a peer that is up: the
// plan says on which links (WorkerPlan::by_nccl). Until both sides have made it, payloads go
// through the transport below. One that cannot be (the library is missing, the cards are of two
// vendors, or one card) ends the link with its peer with a `down` that says why. Whenever NCCL is
// given up, the log says so once.
//
// A payload with MemoryKind::card that is sent has an owner and lies on this transport's card; one
// that is received lies there too, or on the host if the transport below has brought it. It has no
// digest, for no host has seen it.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "transport/nccl/card_port.h"
#include "transport/transport.h"

namespace potluck {

struct NcclOptions {
  std::function<std::shared_ptr<CardPort>()> open_port;  // once, when a link is wished for
  double make_seconds = 30;    // for both sides to make a communicator; NCCL takes seconds
  double receive_seconds = 5;  // for a payload behind its header
  std::function<void(const std::string& line)> log = [](const std::string&) {};
};

std::unique_ptr<Transport> make_nccl_transport(std::unique_ptr<Transport> below,
                                               NcclOptions options);

}  // namespace potluck
