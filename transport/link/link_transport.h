// LinkTransport is the owner's side of every transport. It reads from a mailbox and gives orders to
// links.
#pragma once

#include <memory>

#include "transport/link/link_host.h"
#include "transport/transport.h"

namespace potluck {

std::unique_ptr<Transport> make_link_transport(std::unique_ptr<LinkHost> host);

}  // namespace potluck
