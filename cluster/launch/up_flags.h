// The flags of potluck up, what they mean together, and what they leave to the machine.
#pragma once

#include <string>
#include <vector>

#include "cluster/cli/log.h"
#include "cluster/ring/ring_flags.h"
#include "coordinator/control/running_cluster.h"
#include "topology/base/fault.h"

namespace CLI {
class App;
}

namespace potluck {

struct UpFlags {
  std::string cluster, model, name = kClusterName, ssh, listen;
  std::vector<std::string> allow;
  bool foreground = false, join = false, no_join = false;
  RingFlags ring;
  LogOptions log;
};

void add_up_flags(CLI::App* command, UpFlags& flags);
// Throws Fault{input} for flags that contradict each other.
void check_up_flags(const UpFlags& flags);
// Fills in what is left to this machine, and says what somebody might not expect of it.
UpFlags completed(UpFlags flags);

// "HOST:PORT" where the control channel listens for other machines; empty: it does not.
std::string listen_text(const UpFlags& flags);
// Whether machines that join could mend what has failed.
bool may_wait(const UpFlags& flags, const Fault& fault);

}  // namespace potluck
