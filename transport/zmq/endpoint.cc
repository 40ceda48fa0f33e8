// Endpoints are parsed and resolved here, and stale socket files removed.
#include "transport/zmq/endpoint.h"

#include <arpa/inet.h>
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

}  // namespace

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

std::string resolve(const ZmqEndpoint& endpoint) {
  if (endpoint.host.empty()) return endpoint.text;
  if (endpoint.host == "*") return "tcp://0.0.0.0:" + endpoint.port;
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_family = endpoint.host == "localhost" ? AF_INET : AF_UNSPEC;
  const int failed = getaddrinfo(endpoint.host.c_str(), nullptr, &hints, &found);
  if (failed)
    throw Fault(FaultKind::world,
                "cannot find the host of " + endpoint.text + ": " + gai_strerror(failed),
                Fix{"check its name"});
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, freeaddrinfo);
  char number[NI_MAXHOST];
  if (getnameinfo(found->ai_addr, found->ai_addrlen, number, sizeof(number), nullptr, 0,
                  NI_NUMERICHOST))
    throw Fault(FaultKind::world, "the host of " + endpoint.text + " has no address");
  const bool brackets = found->ai_family == AF_INET6;
  std::string resolved = brackets ? "tcp://[" : "tcp://";
  resolved += number;
  return resolved + (brackets ? "]:" : ":") + endpoint.port;
}

bool needs_name_server(const ZmqEndpoint& endpoint) {
  in6_addr number{};
  const char* host = endpoint.host.c_str();
  return !endpoint.host.empty() && endpoint.host != "*" && endpoint.host != "localhost" &&
         inet_pton(AF_INET, host, &number) != 1 && inet_pton(AF_INET6, host, &number) != 1;
}

bool is_loopback(const std::string& resolved) {
  return starts_with(resolved, "ipc://") || starts_with(resolved, "tcp://127.") ||
         starts_with(resolved, "tcp://[::1]:");
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
