// Asks the kernel which local address leads to an endpoint.
#include "cluster/ring/address.h"

#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>

#include "topology/base/endpoint.h"
#include "topology/base/fault.h"

namespace potluck {

std::string address_towards(const std::string& endpoint) {
  const std::optional<Endpoint> to = parse_endpoint(endpoint);
  if (!to || to->scheme != "tcp")
    throw Fault(FaultKind::input, "endpoint " + endpoint + " is not tcp://HOST:PORT");
  addrinfo wanted = {}, *found = nullptr;
  wanted.ai_socktype = SOCK_DGRAM;
  if (const int error =
          getaddrinfo(to->host.c_str(), std::to_string(to->port).c_str(), &wanted, &found))
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
  return found->ai_family == AF_INET6 ? fmt::format("[{}]", text) : text;
}

}  // namespace potluck
