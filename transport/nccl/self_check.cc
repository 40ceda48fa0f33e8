// One rank, one group of a send and a receive.
#include "transport/nccl/self_check.h"

#include <thread>

#include "topology/base/clock.h"
#include "topology/base/fault.h"
#include "transport/nccl/nccl_library.h"

namespace potluck {
namespace {

struct OneRank {
  const NcclLibrary& nccl;
  CardPort& port;
  void* stream = port.make_stream();
  void* communicator = nullptr;

  ~OneRank() {
    if (communicator) nccl.calls().abort.function(communicator);
    port.free_stream(stream);
  }
};

}  // namespace

std::string copy_by_nccl(const std::shared_ptr<CardPort>& port, const void* from, void* to,
                         size_t bytes, const std::function<void()>& arrived) {
  const std::shared_ptr<const NcclLibrary> nccl = open_nccl(port->vendor());
  const NcclCalls& calls = nccl->calls();
  OneRank rank{*nccl, *port};
  NcclConfig config;
  config.blocking = 1;  // nobody has to be waited for
  nccl->call(calls.make, &rank.communicator, 1, nccl->new_id(), 0, &config);
  nccl->call(calls.begin_group);
  nccl->call(calls.send, from, bytes, kNcclUint8, 0, rank.communicator, rank.stream);
  nccl->call(calls.receive, to, bytes, kNcclUint8, 0, rank.communicator, rank.stream);
  nccl->call(calls.end_group);
  const Time deadline = now() + from_seconds(kSelfCheckSeconds);
  while (!port->is_idle(rank.stream)) {
    if (now() >= deadline) throw Fault(FaultKind::world, "NCCL does not reach its own card");
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
  arrived();
  return nccl->version();
}

}  // namespace potluck
