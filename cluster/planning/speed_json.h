// A device's speed as doctor's JSON and its cache have it.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "topology/cluster/cluster_spec.h"

namespace potluck {

nlohmann::ordered_json speed_json(const DeviceSpeed& speed);
// Throws nlohmann's exception for what speed_json() did not write.
DeviceSpeed speed_of(const nlohmann::ordered_json& json);

}  // namespace potluck
