#include "cluster/address.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>

#include "topology/fault.h"

namespace potluck {
namespace {

struct HostPort {
  std::string host, port;
};

HostPort split(const std::string& endpoint) {
  constexpr char kScheme[] = "tcp://";
  const size_t colon = endpoint.rfind(':');
  if (endpoint.rfind(kScheme, 0) != 0 || colon < sizeof(kScheme) - 1)
    throw Fault(FaultKind::input, "endpoint " + endpoint + " is not tcp://HOST:PORT");
  std::string host = endpoint.substr(sizeof(kScheme) - 1, colon - (sizeof(kScheme) - 1));
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
  return {host, endpoint.substr(colon + 1)};
}

}  // namespace

std::string address_towards(const std::string& endpoint) {
  const HostPort to = split(endpoint);
  addrinfo wanted = {}, *found = nullptr;
  wanted.ai_socktype = SOCK_DGRAM;
  if (const int error = getaddrinfo(to.host.c_str(), to.port.c_str(), &wanted, &found))
    throw Fault(FaultKind::world, "cannot resolve " + endpoint + ": " + gai_strerror(error));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> list(found, freeaddrinfo);
  const int socket_fd = socket(found->ai_family, SOCK_DGRAM, 0);
  sockaddr_storage mine = {};
  socklen_t size = sizeof(mine);
  const bool known = connect(socket_fd, found->ai_addr, found->ai_addrlen) == 0 &&
                     getsockname(socket_fd, reinterpret_cast<sockaddr*>(&mine), &size) == 0;
  close(socket_fd);
  char text[NI_MAXHOST];
  if (!known || getnameinfo(reinterpret_cast<sockaddr*>(&mine), size, text, sizeof(text), nullptr,
                            0, NI_NUMERICHOST) != 0)
    throw Fault(FaultKind::world, "there is no route to " + endpoint);
  return found->ai_family == AF_INET6 ? "[" + std::string(text) + "]" : text;
}

}  // namespace potluck
