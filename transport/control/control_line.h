// ControlLine: one end of a control channel: an I/O thread over a pipe, which says whom it hears
// and what, and ends connections that are silent, broken, or too many. Both ends have one.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "topology/base/clock.h"
#include "transport/control/control_message.h"
#include "transport/link/pipe.h"

namespace potluck {

inline constexpr double kControlPingSeconds = 2;
inline constexpr double kControlSilenceSeconds = 10;  // then a connection is over
inline constexpr size_t kControlClientsMax = 64;      // of other machines together
// Of one machine. Those of this one, by its socket, are counted apart, so that nobody elsewhere
// locks its owner out.
inline constexpr size_t kControlClientsOfHostMax = 32;
inline constexpr size_t kControlWaitingMax = 1024;              // messages that nobody has taken
inline constexpr uint64_t kControlWaitingBytesMax = 64u << 20;  // and their bytes

class ControlLine final : private PipeEvents {
 public:
  struct Arrival {
    enum class Kind { called, message, gone };
    Kind kind;
    ConnectionId from = 0;
    Caller caller;           // kind called
    ControlMessage message;  // kind message; never a ping
    std::string why;         // kind gone
  };

  // on_arrival: called on the I/O thread when there is something to take; may be none.
  ControlLine(std::unique_ptr<Pipe> pipe, std::function<void()> on_arrival);
  ~ControlLine() override;  // what was sent has a moment to leave

  // As Transport's.
  std::string listen(const std::string& endpoint);
  ConnectionId dial(const Address& address);
  void guard(Identity identity);  // whose keys may call
  // Dropped if the connection is over. Throws Fault{input} for a message past the limits.
  void send(ConnectionId to, const ControlMessage& message);
  void hang_up(ConnectionId connection);  // when what was sent has left; nothing more is reported

  // All that has arrived in order; waits until the deadline for a first one.
  std::vector<Arrival> take(Time deadline);

 private:
  struct Connection {
    Time heard{}, pinged{};
    bool dialed = false, admitted = false;
    std::string host;  // of a caller; empty: this machine
  };

  void run();
  void order(std::function<void()> work);
  void run_orders();
  void tick(Time now);
  void post(Arrival arrival);
  void transmit(ConnectionId to, std::string text, std::string bytes);
  std::string why_of(ConnectionId connection, const std::string& otherwise) const;
  void end(ConnectionId connection, const std::string& why);
  void refuse(ConnectionId connection, const Fault& fault);
  std::string why_too_many(const std::string& host) const;
  bool has_room(const ControlMessage& message);

  void called(ConnectionId connection, Caller caller) override;
  void locked_out(const Caller&) override {}
  void connected(ConnectionId) override {}
  void arrived(ConnectionId connection, const void* header, size_t header_bytes,
               Payload payload) override;
  void broken(ConnectionId connection, const std::string& why) override { end(connection, why); }
  void hung_up(ConnectionId) override {}
  void ended(ConnectionId connection) override;
  void failing(ConnectionId connection, const std::string& why) override;
  void unreachable(ConnectionId connection, const std::string& why) override;

  const std::unique_ptr<Pipe> pipe_;
  const std::function<void()> on_arrival_;
  std::map<ConnectionId, Connection> connections_;  // the I/O thread's
  std::map<ConnectionId, std::string> troubles_;    // of dials; the I/O thread's
  std::mutex mutex_;
  std::condition_variable something_;
  std::deque<Arrival> arrivals_;               // under mutex_
  uint64_t waiting_bytes_ = 0;                 // under mutex_
  std::vector<std::function<void()>> orders_;  // under mutex_
  bool stopping_ = false;                      // under mutex_
  std::thread thread_;                         // last: everything is there when it starts
};

}  // namespace potluck
