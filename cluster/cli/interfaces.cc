// Interfaces come from the kernel's list of addresses, and what they are from sysfs.
#include "cluster/cli/interfaces.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>

namespace potluck {
namespace {

const std::filesystem::path kInterfaces = "/sys/class/net";

std::string file_text(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

int number_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  int value = 0;
  return file >> value && value > 0 ? value : 0;
}

// Empty for what others cannot dial.
std::string address_text(const sockaddr* address) {
  const bool six = address->sa_family == AF_INET6;
  if (!six && address->sa_family != AF_INET) return "";
  char text[NI_MAXHOST];
  if (getnameinfo(address, six ? sizeof(sockaddr_in6) : sizeof(sockaddr_in), text, sizeof(text),
                  nullptr, 0, NI_NUMERICHOST))
    return "";
  const std::string host = text;
  if (!six) return host.rfind("169.254.", 0) == 0 ? "" : host;
  return host.rfind("fe80", 0) == 0 ? "" : "[" + host + "]";
}

NetworkInterface described(const std::string& name) {
  const std::filesystem::path folder = kInterfaces / name;
  const bool wireless =
      std::filesystem::exists(folder / "wireless") || std::filesystem::exists(folder / "phy80211");
  NetworkInterface found;
  found.name = name;
  found.kind = interface_kind(name, wireless, file_text(folder / "uevent"));
  found.mtu = number_of(folder / "mtu");
  found.mbit_per_s = number_of(folder / "speed");
  return found;
}

}  // namespace

std::string interface_kind(const std::string& name, bool wireless, const std::string& uevent) {
  if (wireless) return "wifi";
  if (uevent.find("DEVTYPE=wireguard") != std::string::npos) return "wireguard";
  if (name.rfind("tailscale", 0) == 0) return "tailscale";
  for (const char* prefix : {"docker", "br-", "veth", "virbr", "podman", "cni", "lxcbr", "flannel"})
    if (name.rfind(prefix, 0) == 0) return "container";
  return "ethernet";
}

std::vector<NetworkInterface> find_interfaces() {
  std::vector<NetworkInterface> all;
  ifaddrs* found = nullptr;
  if (getifaddrs(&found)) return all;
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(found, freeifaddrs);
  for (const ifaddrs* each = found; each; each = each->ifa_next) {
    if (!each->ifa_addr || !(each->ifa_flags & IFF_UP) || each->ifa_flags & IFF_LOOPBACK) continue;
    const std::string address = address_text(each->ifa_addr);
    if (address.empty()) continue;
    auto known = std::find_if(all.begin(), all.end(), [each](const NetworkInterface& one) {
      return one.name == each->ifa_name;
    });
    if (known == all.end()) known = all.insert(all.end(), described(each->ifa_name));
    known->addresses.push_back(address);
  }
  return all;
}

}  // namespace potluck
