// Writes a speed as an object, and reads it.
#include "cluster/planning/speed_json.h"

#include <nlohmann/json.hpp>

namespace potluck {

nlohmann::ordered_json speed_json(const DeviceSpeed& speed) {
  return {{"sliding_layer_ms", speed.sliding_layer_ms},
          {"full_layer_ms", speed.full_layer_ms},
          {"head_ms", speed.head_ms},
          {"message_ms", speed.message_ms},
          {"model", speed.model}};
}

DeviceSpeed speed_of(const nlohmann::ordered_json& json) {
  DeviceSpeed speed;
  json.at("sliding_layer_ms").get_to(speed.sliding_layer_ms);
  json.at("full_layer_ms").get_to(speed.full_layer_ms);
  json.at("head_ms").get_to(speed.head_ms);
  json.at("message_ms").get_to(speed.message_ms);
  json.at("model").get_to(speed.model);
  speed.source = Source::measured;
  return speed;
}

}  // namespace potluck
