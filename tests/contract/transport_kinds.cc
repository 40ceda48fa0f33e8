// The transports of one process and of loopback, each with a way to make endpoints that are free.
#include "tests/contract/transport_kinds.h"

#include <unistd.h>

#include <atomic>

#include "tests/sim/simulated_network.h"
#include "transport/inproc/inproc.h"
#include "transport/zmq/zmq.h"

namespace potluck {
namespace {

std::unique_ptr<Transport> quiet_zmq() {
  ZmqOptions options;
  options.insecure_plaintext = true;
  options.log = [](const std::string&) {};
  return make_zmq_transport(options);
}

// All parties have one machine's keys.
const LockKeys& keys() {
  static const LockKeys keys = make_lock_keys();
  return keys;
}

std::unique_ptr<Transport> locked_zmq() {
  ZmqOptions options;
  options.keys = keys;
  options.log = [](const std::string&) {};
  return make_zmq_transport(options);
}

std::string numbered(const std::string& stem) {
  static std::atomic<int> count{0};
  return stem + std::to_string(getpid()) + "-" + std::to_string(count++);
}

}  // namespace

std::vector<TransportKind> dialing_kinds() {
  const auto inproc_net = [] {
    return [hub = make_inproc_hub()] { return make_inproc_transport(hub); };
  };
  const auto zmq_net = [] { return quiet_zmq; };
  const auto in_process = [] { return numbered("inproc://contract-"); };
  const auto on_tcp = [] { return std::string("tcp://127.0.0.1:*"); };
  const auto on_ipc = [] { return numbered("ipc://" + testing::TempDir() + "potluck-contract-"); };
  const auto locked_net = [] { return locked_zmq; };
  TransportKind locked{"LockedTcp", locked_net, on_tcp};
  locked.key = keys().public_key;
  return {{"Inproc", inproc_net, in_process},
          {"Tcp", zmq_net, on_tcp},
          locked,
          {"Ipc", zmq_net, on_ipc}};
}

std::vector<TransportKind> transport_kinds() {
  const auto simulated_net = [] {
    return [network = std::make_shared<SimulatedNetwork>(1)] { return network->transport(); };
  };
  const auto simulated = [] { return numbered("sim://contract-"); };
  std::vector<TransportKind> kinds = dialing_kinds();
  kinds.push_back({"Simulated", simulated_net, simulated, "", false});
  return kinds;
}

}  // namespace potluck
