// OpenDoor: a ring that stays lets other machines in: it answers them on the control channel, is
// found in the local network, and gives their workers to the ring.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "cluster/ring/model_share.h"
#include "cluster/ring/ring.h"
#include "coordinator/membership/guests.h"
#include "transport/control/control_server.h"
#include "transport/mdns/mdns.h"
#include "transport/zmq/lock_keys.h"

namespace potluck {

struct DoorSetup {
  std::string model;         // as the coordinator's -m names it
  std::string state_folder;  // where the guest book lies
  std::string public_key;    // the coordinator's
  int port = 0;              // at which the control channel listens for other machines
  std::function<void(const std::string& line)> say;
};

class OpenDoor final {
 public:
  // server and ring: outlive this.
  OpenDoor(ControlServer& server, Ring& ring, const DoorSetup& setup);

  // Gives the model to machines that were let in and lack some of it. model: outlives the server.
  void give(ControlServer& server, SharedModel& model);

  // To be called at every turn of the ring.
  void tick(Time now) { guests_.tick(now); }

 private:
  Guests guests_;
  std::unique_ptr<Advertiser> advertiser_;
};

}  // namespace potluck
