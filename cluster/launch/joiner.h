// Joiner: a machine's stay in a cluster. It finds the coordinator, is let in, gives its workers,
// and comes back by itself when the coordinator was away or has moved, until it leaves.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "cluster/launch/own_workers.h"
#include "cluster/launch/way_in.h"
#include "coordinator/membership/be_let_in.h"

namespace potluck {

struct JoinerSetup {
  JoinedCluster cluster;
  Entry entry;
  std::function<void(const JoinedCluster&)> remember;  // that this machine belongs to it now
  // Starts this machine's workers at one of its addresses; the model is the cluster's, as it names
  // it, and its coordinator at `door` has it.
  std::function<std::unique_ptr<OwnWorkers>(const std::string& model, const std::string& address,
                                            const std::string& door)>
      start_workers;
  std::function<void(const std::string& line)> say;
};

// A machine that leaves waits for so long until the ring can do without it.
inline constexpr double kLeaveSecondsMax = 120;

class Joiner final {
 public:
  Joiner(WayIn way, JoinerSetup setup) : way_(std::move(way)), setup_(std::move(setup)) {}

  // Stays until an interrupt (interrupt.h), then leaves. Throws Fault{lost} if the coordinator is
  // not found at first, Fault{refused} when this machine is not let in or is shut out, and
  // Fault{world} when a worker of its ends.
  void stay();

 private:
  void enter(Door door);
  void find_again();
  void offer();
  void leave();
  void wait(double seconds);
  void report(const nlohmann::json& reply);
  nlohmann::json ask(const std::string& verb, const nlohmann::json& body);

  const WayIn way_;
  JoinerSetup setup_;
  std::unique_ptr<ControlClient> client_;
  std::string address_;  // of this machine, that the coordinator reaches
  std::unique_ptr<OwnWorkers> workers_;
  std::string parts_;  // as they were last said
};

}  // namespace potluck
