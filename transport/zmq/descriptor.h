// These functions ask the kernel about connections that libzmq has accepted, and end one of them:
// libzmq itself closes no connection on request, and has no limit to how many it accepts.
#pragma once

#include <cstdint>
#include <string>

namespace potluck {

// A descriptor's number may be another connection's as soon as libzmq has closed it; a socket's
// inode is its own.
struct SocketId {
  int fd = -1;
  uint64_t inode = 0;
};
SocketId socket_id(int fd);
std::string peer_host(int fd);    // the address alone; empty: no TCP
bool is_local(int fd);            // known to be a connection within this machine
uint64_t bytes_received(int fd);  // so far; 0: no TCP
bool has_unread_bytes(int fd);    // that libzmq has not taken from the kernel yet

class Severer final {
 public:
  Severer();
  ~Severer();
  Severer(const Severer&) = delete;
  Severer& operator=(const Severer&) = delete;

  // Shuts the connection, so that libzmq finds it ended; nothing if it is closed already.
  void sever(const SocketId& connection);
  // Takes a call that waits at a listener and hangs up, with a descriptor that is kept for this.
  // False: nobody waits.
  bool turn_away(int listener);

 private:
  int nothing_, spare_;
};

}  // namespace potluck
