// Tells the ring of guests and guests of the ring.
#include "cluster/launch/open_door.h"

#include "cluster/launch/host_name.h"
#include "topology/base/version.h"

namespace potluck {
namespace {

// A typical layer of a device, by what its machine has measured; 0: not known.
double layer_ms_of(const DeviceSpec& device) {
  return device.speed ? device.speed->sliding_layer_ms : 0;
}

std::string part_text(const Plan& plan, const std::string& worker) {
  if (plan.head.name == worker) return "head";
  for (const WorkerPlan& stage : plan.stages)
    if (stage.name == worker) return "layers " + range_text(stage.layers);
  return "";
}

GuestHooks hooks_of(Ring& ring, const DoorSetup& setup) {
  GuestHooks hooks;
  hooks.model = setup.model;
  hooks.came = [&ring, say = setup.say](const GuestOffer& offer) {
    for (const GuestWorker& worker : offer.workers) {
      say("\"" + offer.host + "\" offers " + worker.device.device + " at " + worker.endpoint);
      ring.invite({worker_plan_of(worker, offer.key), worker.device.memory_bytes,
                   layer_ms_of(worker.device)});
    }
  };
  hooks.drain = [&ring](const std::string& worker) { ring.drain(worker); };
  hooks.part_of = [&ring](const std::string& worker) { return part_text(ring.plan(), worker); };
  return hooks;
}

}  // namespace

OpenDoor::OpenDoor(ControlServer& server, Ring& ring, const DoorSetup& setup)
    : guests_(server, Admission(setup.public_key, guest_book_file(setup.state_folder), setup.say),
              hooks_of(ring, setup)),
      advertiser_(advertise({host_name(), setup.public_key, kSoftware}, setup.port, setup.say)) {}

void OpenDoor::give(ControlServer& server, SharedModel& model) {
  share_model(server, model, {ControlCallers::anyone, [this](const std::string& key) {
                                guests_.check_admitted(key);
                              }});
}

}  // namespace potluck
