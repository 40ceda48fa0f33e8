// Descriptors of libzmq's are looked at under a number of our own, so that nothing is done to a
// connection that has got the number of another.
#include "transport/zmq/descriptor.h"

#include <fcntl.h>
#include <linux/tcp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace potluck {
namespace {

constexpr size_t kDiscardBytes = 1 << 20;  // at a time

uint64_t inode_of(int fd) {
  struct stat status {};
  return fstat(fd, &status) == 0 ? status.st_ino : 0;
}

}  // namespace

SocketId socket_id(int fd) {
  return {fd, inode_of(fd)};
}

std::string peer_host(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  auto* any = reinterpret_cast<sockaddr*>(&address);
  char host[NI_MAXHOST];
  const bool known = getpeername(fd, any, &size) == 0 && address.ss_family != AF_UNIX &&
                     getnameinfo(any, size, host, sizeof(host), nullptr, 0, NI_NUMERICHOST) == 0;
  return known ? host : "";
}

bool is_local(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  return getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0 &&
         address.ss_family == AF_UNIX;
}

uint64_t bytes_received(int fd) {
  tcp_info info{};
  socklen_t size = sizeof(info);
  return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 ? info.tcpi_bytes_received : 0;
}

bool has_unread_bytes(int fd) {
  int bytes = 0;
  return ioctl(fd, FIONREAD, &bytes) == 0 && bytes > 0;
}

Severer::Severer() : nothing_(open("/dev/null", O_RDONLY | O_CLOEXEC)) {
  spare_ = fcntl(nothing_, F_DUPFD_CLOEXEC, 0);
}

Severer::~Severer() {
  close(spare_);
  close(nothing_);
}

// Answers that a stranger does not read would stay with the kernel for minutes, behind the close.
// What it has sent and libzmq has not read, which may be megabytes, is thrown away.
void Severer::sever(const SocketId& connection) {
  if (spare_ < 0 || dup3(connection.fd, spare_, O_CLOEXEC) < 0) return;
  if (inode_of(spare_) == connection.inode) {
    const linger none{1, 0};
    setsockopt(spare_, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
    shutdown(spare_, SHUT_RDWR);
    while (recv(spare_, nullptr, kDiscardBytes, MSG_TRUNC | MSG_DONTWAIT) > 0) continue;
  }
  dup3(nothing_, spare_, O_CLOEXEC);
}

bool Severer::turn_away(int listener) {
  close(spare_);
  const int caller = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (caller >= 0) close(caller);
  spare_ = fcntl(nothing_, F_DUPFD_CLOEXEC, 0);
  return caller >= 0;
}

}  // namespace potluck
