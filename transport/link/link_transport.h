// LinkTransport: the owner's side of every transport: a mailbox to read from, and links to give
// orders to.
#pragma once

#include <memory>

#include "transport/link/link_host.h"
#include "transport/transport.h"

namespace potluck {

std::unique_ptr<Transport> make_link_transport(std::unique_ptr<LinkHost> host);

}  // namespace potluck
