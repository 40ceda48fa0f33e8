// A doctor on another host takes orders: each is a JSON object in a line of stdin, and its answer
// one on stdout. It ends when stdin does, so that nothing is left when the one that asks is gone.
//
//   {"order": "report", …}  → host_report() to the question
//   {"order": "clock"}      → {"unix_seconds": …}
//   {"order": "listen", "ports": [FIRST, LAST], "keys": […], "plain_host": …}  → {"port": …}
//   {"order": "reach", …}   → reach() of the request
//
// An order that cannot be obeyed is answered by {"problem": …, "fix": …}.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>

#include "cluster/planning/host_report.h"
#include "cluster/planning/link_answerer.h"

namespace potluck {

class Orders final {
 public:
  explicit Orders(HostPlaces places) : places_(std::move(places)) {}

  nlohmann::ordered_json obey(const nlohmann::ordered_json& order);

 private:
  nlohmann::ordered_json listen(const nlohmann::ordered_json& order);

  const HostPlaces places_;
  std::unique_ptr<LinkAnswerer> answerer_;  // since the last order to listen
};

// Obeys until stdin ends; returns an exit code.
int take_orders(const HostPlaces& places);

}  // namespace potluck
