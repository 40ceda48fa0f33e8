// Endpoints are parsed and resolved here, and stale socket files removed.
#include "transport/zmq/endpoint.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "topology/base/fault.h"

namespace potluck {
namespace {

constexpr size_t kSocketPathMax = sizeof(sockaddr_un::sun_path) - 1;
constexpr int kPortMax = 65535;

[[noreturn]] void refuse(const std::string& endpoint, const std::string& why) {
  throw Fault(FaultKind::input, "endpoint \"" + endpoint + "\" " + why);
}

bool starts_with(const std::string& text, const char* prefix) {
  return text.rfind(prefix, 0) == 0;
}

ZmqEndpoint parse_ipc(const std::string& text) {
  const std::string path = text.substr(std::strlen("ipc://"));
  if (path.empty() || path[0] != '/') refuse(text, "needs an absolute path: ipc:///PATH");
  if (path.size() > kSocketPathMax)
    refuse(text, "has a path of " + std::to_string(path.size()) +
                     " bytes; a socket's has at most " + std::to_string(kSocketPathMax));
  return {text, "", "", path};
}

std::string parse_port(const std::string& text, const std::string& port) {
  if (port == "*") return "0";
  const bool digits =
      !port.empty() && port.size() <= 5 &&
      std::all_of(port.begin(), port.end(), [](char c) { return '0' <= c && c <= '9'; });
  if (!digits || std::stoi(port) > kPortMax)
    refuse(text, "has port \"" + port + "\"; it must be 1 to " + std::to_string(kPortMax) +
                     ", or * for any");
  return port;
}

[[noreturn]] void refuse_host(const ZmqEndpoint& endpoint, const std::string& why) {
  const size_t zone = endpoint.host.find('%');
  if (zone != std::string::npos && !if_nametoindex(endpoint.host.c_str() + zone + 1))
    throw Fault(FaultKind::world,
                "this machine has no interface " + endpoint.host.substr(zone + 1) + ", which " +
                    endpoint.text + " names",
                Fix{"ip link shows those that it has"});
  throw Fault(FaultKind::world, "cannot find the host of " + endpoint.text + ": " + why,
              Fix{"check its name"});
}

std::string host_text(const sockaddr* address, socklen_t bytes) {
  char number[NI_MAXHOST];
  if (getnameinfo(address, bytes, number, sizeof(number), nullptr, 0, NI_NUMERICHOST)) return "";
  if (address->sa_family != AF_INET6) return number;
  std::string text = "[";
  return text.append(number).append("]");
}

// The names of the interfaces that have a link-local address. Those of real devices come first: a
// machine may have many that lead to containers.
std::vector<std::string> link_local_interfaces() {
  std::vector<std::string> names, others;
  ifaddrs* found = nullptr;
  if (getifaddrs(&found)) return {};
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(found, freeifaddrs);
  for (const ifaddrs* each = found; each; each = each->ifa_next) {
    if (!each->ifa_addr || each->ifa_addr->sa_family != AF_INET6) continue;
    const auto* address = reinterpret_cast<const sockaddr_in6*>(each->ifa_addr);
    if (!IN6_IS_ADDR_LINKLOCAL(&address->sin6_addr) || !(each->ifa_flags & IFF_UP)) continue;
    const std::string name = each->ifa_name;
    const bool real = access(("/sys/class/net/" + name + "/device").c_str(), F_OK) == 0;
    (real ? names : others).push_back(name);
  }
  names.insert(names.end(), others.begin(), others.end());
  return names;
}

bool is_link_local_without_zone(const sockaddr* address) {
  if (address->sa_family != AF_INET6) return false;
  const auto* six = reinterpret_cast<const sockaddr_in6*>(address);
  return IN6_IS_ADDR_LINKLOCAL(&six->sin6_addr) && six->sin6_scope_id == 0;
}

// Numbers, those of IPv6 in brackets, in the order of the C library: what has a route comes first.
std::vector<std::string> hosts_of(const ZmqEndpoint& endpoint) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  const int failed = getaddrinfo(endpoint.host.c_str(), nullptr, &hints, &found);
  if (failed) refuse_host(endpoint, gai_strerror(failed));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, freeaddrinfo);
  std::vector<std::string> hosts;
  for (const addrinfo* each = found; each; each = each->ai_next) {
    const std::string host = host_text(each->ai_addr, each->ai_addrlen);
    if (host.empty()) continue;
    if (!is_link_local_without_zone(each->ai_addr))
      hosts.push_back(host);
    else
      for (const std::string& name : link_local_interfaces())
        hosts.push_back(host.substr(0, host.size() - 1) + "%" + name + "]");
  }
  if (hosts.empty()) refuse_host(endpoint, "it has no address");
  return hosts;
}

}  // namespace

std::vector<std::string> in_turn(const std::vector<std::string>& hosts) {
  std::vector<std::string> of_first, others, ordered;
  for (const std::string& host : hosts) {
    auto& family = (host[0] == '[') == (hosts[0][0] == '[') ? of_first : others;
    if (std::count(family.begin(), family.end(), host) == 0) family.push_back(host);
  }
  for (size_t i = 0; i < std::max(of_first.size(), others.size()); ++i) {
    if (i < of_first.size()) ordered.push_back(of_first[i]);
    if (i < others.size()) ordered.push_back(others[i]);
  }
  ordered.resize(std::min(ordered.size(), kAddressesMax));
  return ordered;
}

ZmqEndpoint parse_zmq_endpoint(const std::string& text) {
  if (starts_with(text, "ipc://")) return parse_ipc(text);
  const size_t colon = text.rfind(':');
  const size_t host_at = std::strlen("tcp://");
  if (!starts_with(text, "tcp://") || colon < host_at)
    refuse(text, "is neither tcp://HOST:PORT nor ipc:///PATH");
  std::string host = text.substr(host_at, colon - host_at);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  else if (host.find_first_of(":[]/; ") != std::string::npos)
    refuse(text, "has host \"" + host + "\"; write an IPv6 address in brackets: tcp://[::1]:7000");
  if (host.empty()) refuse(text, "has no host");
  return {text, host, parse_port(text, text.substr(colon + 1)), ""};
}

bool needs_name_server(const ZmqEndpoint& endpoint) {
  in6_addr number{};
  const std::string host = endpoint.host.substr(0, endpoint.host.find('%'));
  return !host.empty() && host != "*" && host != "localhost" &&
         inet_pton(AF_INET, host.c_str(), &number) != 1 &&
         inet_pton(AF_INET6, host.c_str(), &number) != 1;
}

std::vector<std::string> resolve(const ZmqEndpoint& endpoint) {
  if (endpoint.host.empty()) return {endpoint.text};
  if (endpoint.host == "*") return {"tcp://0.0.0.0:" + endpoint.port};
  // Every machine has this name, whatever its name server says.
  if (endpoint.host == "localhost")
    return {"tcp://127.0.0.1:" + endpoint.port, "tcp://[::1]:" + endpoint.port};
  std::vector<std::string> addresses;
  for (const std::string& host : in_turn(hosts_of(endpoint)))
    addresses.push_back("tcp://" + host + ":" + endpoint.port);
  return addresses;
}

void clear_socket_file(const ZmqEndpoint& endpoint) {
  struct stat status {};
  if (lstat(endpoint.path.c_str(), &status) != 0) return;
  if (!S_ISSOCK(status.st_mode))
    refuse(endpoint.text, "is a file that is no socket; choose another path");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::copy(endpoint.path.begin(), endpoint.path.end(), address.sun_path);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const bool refused =
      connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 &&
      errno == ECONNREFUSED;
  close(fd);
  if (!refused)
    throw Fault(FaultKind::world,
                "cannot listen at " + endpoint.text + ": somebody listens there already",
                Fix{"choose another path"});
  unlink(endpoint.path.c_str());
}

}  // namespace potluck
