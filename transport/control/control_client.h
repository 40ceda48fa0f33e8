// ControlClient: makes calls to a ControlServer, several at a time, and takes what comes of them.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>

#include "transport/control/control_line.h"
#include "transport/zmq/lock_keys.h"

namespace potluck {

// One thread owns it.
class ControlClient final {
 public:
  // keys: this machine's, for a server at TCP, whose key the address has. Dials without waiting.
  ControlClient(const Address& server, std::function<LockKeys()> keys);
  ~ControlClient();

  // Sends a call, and returns its number.
  uint64_t call(const std::string& verb, nlohmann::json body, std::string bytes = {});
  void cancel(uint64_t call);
  // The next event, reply or fault of any call; none at the deadline. Throws Fault{lost} when the
  // server is gone or was never reached, with what is known of why.
  std::optional<ControlMessage> wait(Time deadline);

  // One call, and its reply; events of it are left out, and so are other calls' messages. Throws
  // the call's Fault, Fault{lost} if there is none within so many seconds, and as wait() does.
  ControlMessage ask(const std::string& verb, nlohmann::json body, double seconds);

 private:
  Fault lost(const std::string& why) const;

  const std::string endpoint_;
  ControlLine line_;
  const ConnectionId server_;
  uint64_t last_call_ = 0;
  bool heard_ = false;  // the server has said something
  std::deque<ControlLine::Arrival> arrivals_;
};

}  // namespace potluck
