// The network interfaces of this machine that others might reach it by.
#pragma once

#include <string>
#include <vector>

namespace potluck {

struct NetworkInterface {
  std::string name;  // "eth0"
  std::string kind;  // "ethernet", "wifi", "wireguard", "tailscale", "container"
  int mtu = 0;
  int mbit_per_s = 0;                  // that its link runs at, as its driver says; 0: not known
  std::vector<std::string> addresses;  // as an endpoint has them: "10.0.0.3", "[fd00::3]"
};

// Those that are up, but for loopback; without link-local addresses, which mean nothing to others.
std::vector<NetworkInterface> find_interfaces();

// The kind of an interface by its name, and by what sysfs says of it: whether it is wireless, and
// its uevent's text.
std::string interface_kind(const std::string& name, bool wireless, const std::string& uevent);

}  // namespace potluck
