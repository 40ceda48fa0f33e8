// OpenDoor: a coordinator lets other machines in: it answers them on the control channel, is found
// in the local network, and gives their workers to its ring, or keeps them until it has one.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "cluster/ring/model_share.h"
#include "cluster/ring/ring.h"
#include "coordinator/membership/guests.h"
#include "transport/control/control_server.h"
#include "transport/mdns/mdns.h"

namespace potluck {

struct DoorSetup {
  std::string model;         // as the coordinator's -m names it
  std::string state_folder;  // where the guest book lies
  std::string public_key;    // the coordinator's
  // Names of workers that the cluster may have without guests, also those that hold no part now.
  std::set<std::string> own_names;
  std::function<void(const std::string& line)> say;
};

// People who would let machines in are told that none may join, and so are machines whose keys are
// known. The lock keeps out any other.
void keep_door_closed(ControlServer& server);

class OpenDoor final {
 public:
  // server: outlives this; its verbs for machines that join are handled here from now on.
  OpenDoor(ControlServer& server, const DoorSetup& setup);
  OpenDoor(const OpenDoor&) = delete;
  OpenDoor& operator=(const OpenDoor&) = delete;

  // Gives the model to machines that were let in and lack some of it. model: outlives the server.
  void give(ControlServer& server, SharedModel& model);
  // Tells the local network that the control channel listens at this port.
  void advertise_at(int port);
  // From now on guests are for this ring, those too that have come and have no part in its plan.
  // Null: there is none.
  void lead_to(Ring* ring);
  // Workers of machines that are there now, which a plan may have.
  std::vector<Candidate> guests(Time now) const;

  // The machines of all workers that were offered, by worker.
  std::map<std::string, std::string> places() const { return guests_.hosts(); }

  // To be called at every turn.
  void tick(Time now) { guests_.tick(now); }

 private:
  GuestHooks hooks();
  std::string part_of(const std::string& worker) const;

  const DoorSetup setup_;
  Ring* ring_ = nullptr;
  Guests guests_;
  std::unique_ptr<Advertiser> advertiser_;
};

}  // namespace potluck
