// Compares the digests that doctor has written with the model's.
#include "topology/cluster/other_models.h"

#include "topology/model/fingerprint.h"

namespace potluck {

std::vector<std::string> drop_speeds_of_other_models(ClusterSpec& cluster,
                                                     const ModelSource& source) {
  const std::string digest = digest_text(spec_digest(source));
  std::vector<std::string> devices;
  for (HostSpec& host : cluster.hosts)
    for (DeviceSpec& device : host.devices) {
      const bool measured = device.speed && device.speed->source == Source::measured;
      if (!measured || device.speed->model.empty() || device.speed->model == digest) continue;
      device.speed.reset();
      device.speed_is_of_another_model = true;
      devices.push_back(device.name);
    }
  return devices;
}

}  // namespace potluck
