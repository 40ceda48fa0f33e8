// Tells the ring of guests and guests of the ring.
#include "cluster/launch/open_door.h"

#include <optional>
#include <string_view>

#include "cluster/cli/host_name.h"
#include "coordinator/membership/be_let_in.h"
#include "coordinator/membership/guest_verbs.h"
#include "topology/base/fault.h"
#include "topology/base/version.h"

namespace potluck {
namespace {

// A typical layer of a device, by what its machine has measured; 0: not known.
double layer_ms_of(const DeviceSpec& device) {
  return device.speed ? device.speed->sliding_layer_ms : 0;
}

Candidate candidate_of(const GuestWorker& worker, const std::string& key) {
  return {worker_plan_of(worker, key), worker.device.memory_bytes, layer_ms_of(worker.device)};
}

// Names that workers of this machine have in a plan, made or not.
bool is_usual_name(const std::string& worker) {
  constexpr std::string_view kStage = "stage ";
  return worker == "head" || worker == kCoordinatorName ||
         (worker.rfind(kStage, 0) == 0 && worker.size() > kStage.size() &&
          worker.find_first_not_of("0123456789", kStage.size()) == std::string::npos);
}

}  // namespace

void keep_door_closed(ControlServer& server) {
  const auto refuse = [](const std::shared_ptr<ControlCall>&) {
    throw Fault(FaultKind::refused, "this cluster lets no machine join",
                Fix{"start it without --no-join, or with --join"});
  };
  for (const char* verb : {kAskToJoinVerb, kOfferVerb, kClusterVerb, kWaitingVerb})
    server.on(verb, ControlCallers::known, refuse);
}

OpenDoor::OpenDoor(ControlServer& server, const DoorSetup& setup)
    : setup_(setup),
      guests_(server, Admission(setup.public_key, guest_book_file(setup.state_folder), setup.say),
              hooks()) {}

GuestHooks OpenDoor::hooks() {
  GuestHooks hooks;
  hooks.model = setup_.model;
  hooks.came = [this](const GuestOffer& offer) {
    for (const GuestWorker& worker : offer.workers) {
      setup_.say("\"" + offer.host + "\" offers " + worker.device.device + " at " +
                 worker.endpoint);
      if (ring_) ring_->invite(candidate_of(worker, offer.key));
    }
  };
  hooks.forget = [this](const std::string& worker) {
    if (ring_) ring_->forget(worker);
  };
  hooks.part_of = [this](const std::string& worker) { return part_of(worker); };
  hooks.why_not = [this](const std::string& worker) {
    return ring_ ? ring_->why_not(worker) : "the cluster has no ring yet";
  };
  return hooks;
}

std::string OpenDoor::part_of(const std::string& worker) const {
  if (ring_)
    if (const std::optional<PeerId> part = ring_->plan().peer_named(worker))
      return *part == kHeadPeer ? "head"
                                : "layers " + range_text(ring_->plan().worker(*part).layers);
  return is_usual_name(worker) || setup_.own_names.contains(worker) ? "this cluster's own" : "";
}

void OpenDoor::advertise_at(int port) {
  advertiser_ = advertise({host_name(), setup_.public_key, kSoftware}, port, setup_.say);
}

void OpenDoor::lead_to(Ring* ring) {
  ring_ = ring;
  if (!ring_) return;
  for (const Candidate& guest : guests(now()))
    if (part_of(guest.worker.name).empty()) ring_->invite(guest);
}

std::vector<Candidate> OpenDoor::guests(Time now) const {
  std::vector<Candidate> guests;
  for (const GuestOffer& offer : guests_.offers(now))
    for (const GuestWorker& worker : offer.workers)
      guests.push_back(candidate_of(worker, offer.key));
  return guests;
}

void OpenDoor::give(ControlServer& server, SharedModel& model) {
  share_model(server, model, {ControlCallers::anyone, [this](const std::string& key) {
                                guests_.check_admitted(key);
                              }});
}

}  // namespace potluck
