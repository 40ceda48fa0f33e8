// make_transport() chooses by name what carries the messages. It does not matter to it where the
// workers run: in threads, processes or on other machines.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "transport/inproc/inproc.h"
#include "transport/mpi/mpi.h"
#include "transport/transport.h"
#include "transport/zmq/lock_keys.h"

namespace potluck {

struct TransportOptions {
  std::shared_ptr<InprocHub> hub;   // inproc: the transports that can reach each other share it
  std::function<LockKeys()> keys;   // zmq: see ZmqOptions
  bool insecure_plaintext = false;  // zmq
  std::shared_ptr<MpiJob> job;      // mpi: join_mpi_job() gives it
};

struct TransportChoice {
  std::string name;
  std::string carries;  // between whom, for the help of a flag
  bool leaves_process;  // false: all that it links are threads of one process
  std::unique_ptr<Transport> (*make)(TransportOptions options);
};
// All kinds, in the order in which help lists them.
const std::vector<TransportChoice>& transport_choices();

// name: a kind's. Throws Fault{input} for another one, and for one whose library this build lacks.
std::unique_ptr<Transport> make_transport(const std::string& name, TransportOptions options);

}  // namespace potluck
