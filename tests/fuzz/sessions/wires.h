// Wires carry frames between the parties of one process, in order on each, in made-up time that
// passes when a test says so.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>

#include "transport/link/pipe.h"

namespace potluck {

class Wires final {
 public:
  Time now() const { return now_; }
  void pass(double seconds) { now_ += from_seconds(seconds); }

  void listen(PipeEvents& who, const std::string& endpoint);
  ConnectionId dial(PipeEvents& from, const std::string& endpoint);
  void send(ConnectionId from, Frames frames);
  void hang_up(ConnectionId id);
  void remove(const PipeEvents& who);

  // Hands out what was sent first; false: nothing is on its way.
  bool deliver();
  bool quiet() const { return reports_.empty(); }

 private:
  using Report = std::function<void(PipeEvents& to)>;
  struct End {
    PipeEvents* who;
    ConnectionId other;
  };

  ConnectionId add(PipeEvents& who) {
    ends_[++last_id_] = {&who, 0};
    return last_id_;
  }
  void post(ConnectionId to, Report report) { reports_.push_back({to, std::move(report)}); }
  ConnectionId beyond(ConnectionId id) const;

  Time now_{std::chrono::seconds(1)};  // none of it is Time{}, which is no time
  ConnectionId last_id_ = 0;
  std::map<std::string, PipeEvents*> listeners_;
  std::map<ConnectionId, End> ends_;
  std::deque<std::pair<ConnectionId, Report>> reports_;
};

}  // namespace potluck
