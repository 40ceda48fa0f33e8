// A Party is a state machine with real links over wires. What it sends can be tampered with on its
// way out, as if the party meant harm.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/fuzz/sessions/wires.h"
#include "transport/state_machine.h"

namespace potluck {

class WireHost;

class Party final {
 public:
  // Gives what leaves in place of frames that it sends.
  using Tamper = std::function<std::vector<Frames>(Frames)>;

  // endpoint: empty if it does not listen. The machine and the wires outlive it.
  Party(Wires& wires, StateMachine& machine, Identity identity, const std::string& endpoint,
        Tamper tamper);
  ~Party();

  // Takes an event, or goes on with its work; false: there is nothing to do. A machine that has
  // finished is told of events all the same.
  bool turn();
  void tick();  // of its links and its machine
  void give(Outbox out);
  Time now() const { return wires_.now(); }
  uint64_t waiting_bytes() const;  // that its machine has not taken

 private:
  Wires& wires_;
  StateMachine& machine_;
  WireHost* host_;  // the transport's
  const std::unique_ptr<Transport> transport_;
};

// Throws Fault{refused} as a pipe's thread does for frames that it cannot read.
Message read_frames(const void* header, size_t header_bytes, const Payload& payload);

// Everything that is logged or told to a person: ends the process if it would drive a terminal.
void check_line(const std::string& line);

}  // namespace potluck
