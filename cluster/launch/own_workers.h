// OwnWorkers: the workers that a machine which joins gives to the cluster, each a process of its
// own for one device. They end with this process, however it ends.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cluster/ring/child_process.h"
#include "coordinator/membership/guest_offer.h"
#include "transport/transport.h"

namespace potluck {

struct OwnWorkersSetup {
  std::string program;          // the potluck executable
  std::string model;            // as -m names it
  std::string coordinator_key;  // the only other machine that may coordinate them
  Address fetch_from;           // where they fetch what is not here; an empty endpoint: nowhere
  std::string yield;            // as --yield has it; empty: they never yield
  int port = 0;                 // of the first, the next has the next; 0: any
  std::vector<DeviceSpec> devices;
};

class OwnWorkers final {
 public:
  // address: of this machine, where the coordinator and the other workers reach it. Waits until all
  // listen. Throws Fault{world} with the last words of one that does not.
  OwnWorkers(const OwnWorkersSetup& setup, const std::string& address);

  const std::vector<GuestWorker>& offers() const { return offers_; }
  // Where they fetch what is not here.
  const Address& fetch_from() const { return fetch_from_; }
  // Throws Fault{world} with its last words if one has ended; to be called now and then, which
  // also keeps what they log within its limit (child_process.h).
  void check_alive();

 private:
  std::vector<std::unique_ptr<ChildProcess>> children_;
  std::vector<GuestWorker> offers_;
  const Address fetch_from_;
};

}  // namespace potluck
