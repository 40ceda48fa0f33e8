// Registers --device for `demo` and `bench demo`, and looks for cards.
#include "cluster/demo/device_flag.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "cluster/demo/demo_game.h"
#include "cluster/ring/device_rooms.h"
#include "topology/base/fault.h"

namespace potluck {

void add_demo_devices_flag(CLI::App* command, std::vector<std::string>& devices) {
  command
      ->add_option("--device", devices,
                   "what computes: cpu (default), cuda:N, hip:N (potluck devices lists them) or "
                   "auto; or two or three, of the stages in turn, the first for the head too")
      ->type_name("DEVICE")
      ->delimiter(',');
}

std::vector<std::string> demo_devices(const std::vector<std::string>& devices) {
  if (devices != std::vector<std::string>{kAutoDevice}) {
    if (devices.size() > kDemoStages)
      throw Fault(FaultKind::input, fmt::format("--device names {} devices, and the demo has {} "
                                                "stages; name at most so many",
                                                devices.size(), kDemoStages));
    return devices;
  }
  std::vector<std::string> found;
  for (const DeviceRoom& room :
       auto_rooms([](const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); }))
    found.push_back(room.device);
  found.resize(std::min(found.size(), kDemoStages));
  return found;
}

}  // namespace potluck
