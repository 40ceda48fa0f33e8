// Strangers: the connections that a listener has accepted and that have not brought a message yet.
// There are few of them at a time, and each has little time and few bytes to say its hello.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "topology/base/clock.h"
#include "transport/zmq/descriptor.h"

namespace potluck {

inline constexpr size_t kStrangersMax = 64;
inline constexpr double kHelloSeconds = 10;
inline constexpr uint64_t kStrangerBytesMax = 32 * 1024;  // a hello has 9 KiB at most

// A table without a descriptor of its own: the pipe ends the connections that are named here.
class Strangers final {
 public:
  struct Stranger {
    SocketId socket;
    std::string host;
    Time since{};
    std::optional<Time> gone_at;  // it has ended; what it brought may still be read
    bool severed = false;
  };

  void add(Time now, const SocketId& socket, const std::string& host);
  // The stranger with this descriptor has ended, or has said something and is none any more.
  void end(Time now, int fd);
  std::optional<Stranger> extract(int fd);
  // One that was extracted for another's words is a stranger again.
  void put_back(const Stranger& stranger) { strangers_[stranger.socket.fd] = stranger; }
  // Takes out those that ended before then, and says how many they were.
  size_t forget(Time before);

  // Whether there are any who may still send something.
  bool any() const { return count() > 0; }

  // Those to be severed now, each named once: whoever is late, has sent too much, or is one of too
  // many. Of too many it is the oldest of the host that has most: an honest one is soon done.
  std::vector<SocketId> surplus(Time now, const std::function<uint64_t(int fd)>& received);
  // The oldest, if there is one.
  std::optional<SocketId> oldest();

 private:
  using Table = std::map<int, Stranger>;
  Table::iterator oldest_of(const std::string* host);
  size_t count() const;

  Table strangers_;  // by descriptor
};

}  // namespace potluck
