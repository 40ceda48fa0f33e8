// Transport between threads of one process: "inproc://NAME". Messages are handed over as they are,
// by the thread that sends them: there is no I/O thread, no wire and no clock, because a thread of
// this process cannot fall silent on its own. The promises are those of every other transport,
// since the same Links run at both ends.
#pragma once

#include <memory>

#include "transport/transport.h"

namespace potluck {

// All transports made from one hub see each other's endpoints.
class InprocHub;
std::shared_ptr<InprocHub> make_inproc_hub();
std::unique_ptr<Transport> make_inproc_transport(std::shared_ptr<InprocHub> hub);

}  // namespace potluck
