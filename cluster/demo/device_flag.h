// The flag that chooses the devices of the demo's ring.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace potluck {

// --device, for demo_plan().
void add_demo_devices_flag(CLI::App* command, std::vector<std::string>& devices);

// With "auto" as every card that can be used, and the CPU. Says in one line on stderr if there is
// none, and why. Throws Fault{input} for more devices than stages.
std::vector<std::string> demo_devices(const std::vector<std::string>& devices);

}  // namespace potluck
