// Chooses what carries the messages. Where the workers run (threads, processes, other machines) is
// another question.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "transport/inproc/inproc.h"
#include "transport/transport.h"

namespace potluck {

struct TransportOptions {
  std::shared_ptr<InprocHub> hub;   // inproc: who can be reached
  bool insecure_plaintext = false;  // zmq: see ZmqOptions
};

// name: "inproc" or "zmq". Throws Fault{input} for another one, and Fault{world} for one whose
// library this build lacks.
std::unique_ptr<Transport> make_transport(const std::string& name, TransportOptions options);

}  // namespace potluck
