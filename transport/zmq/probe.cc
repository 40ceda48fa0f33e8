// Connects sockets of its own, which nobody waits for.
#include "transport/zmq/probe.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "topology/base/endpoint.h"

namespace potluck {
namespace {

// A socket that is connected, or about to be; -1 with errno set where that cannot be.
int connect_to(const std::string& address, int type) {
  const auto endpoint = parse_endpoint(address);
  addrinfo hints{}, *found = nullptr;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = type;
  errno = EINVAL;
  if (!endpoint || endpoint->scheme != "tcp") return -1;
  const std::string& host = endpoint->host;
  const std::string bare = host[0] == '[' ? host.substr(1, host.size() - 2) : host;
  if (getaddrinfo(bare.c_str(), std::to_string(endpoint->port).c_str(), &hints, &found)) return -1;
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, freeaddrinfo);
  const int fd = socket(found->ai_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) == 0 || errno == EINPROGRESS)
    return fd;
  const int error = errno;
  close(fd);
  errno = error;
  return -1;
}

}  // namespace

Probe::Probe(const std::string& address) : fd_(connect_to(address, SOCK_STREAM)) {
  if (fd_ < 0) error_ = errno;
}

Probe::~Probe() {
  if (fd_ >= 0) close(fd_);
}

Probe::Probe(Probe&& other) noexcept : fd_(std::exchange(other.fd_, -1)), error_(other.error_) {}

std::optional<int> Probe::error() {
  if (error_) return error_;
  pollfd ready{fd_, POLLOUT, 0};
  if (poll(&ready, 1, 0) <= 0) return std::nullopt;
  int error = 0;
  socklen_t size = sizeof(error);
  getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
  error_ = error;
  return error_;
}

std::string failure_text(int error) {
  if (error == 0 || error == ECONNREFUSED) return "refused the connection";
  if (error == ETIMEDOUT) return "did not answer";
  if (error == EINVAL) return "was not reached: this machine sends nothing there";  // a blackhole
  return std::string("was not reached: ") + std::strerror(error);
}

bool is_unrouted(int error) {
  return error == EHOSTUNREACH || error == ENETUNREACH || error == EINVAL || error == EACCES ||
         error == EADDRNOTAVAIL || error == EPERM;
}

std::string local_address_towards(const std::string& address) {
  const int fd = connect_to(address, SOCK_DGRAM);
  if (fd < 0) return "";
  sockaddr_storage mine{};
  socklen_t size = sizeof(mine);
  auto* any = reinterpret_cast<sockaddr*>(&mine);
  char text[NI_MAXHOST];
  const bool known = getsockname(fd, any, &size) == 0 &&
                     getnameinfo(any, size, text, sizeof(text), nullptr, 0, NI_NUMERICHOST) == 0;
  close(fd);
  if (!known) return "";
  if (mine.ss_family != AF_INET6) return text;
  std::string host = "[";
  return host.append(text).append("]");
}

}  // namespace potluck
