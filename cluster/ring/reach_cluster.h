// The flags that name a cluster that is up, on this machine or at another one, and the way there.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "cluster/cli/commands.h"
#include "coordinator/control/running_cluster.h"
#include "transport/control/control_client.h"

namespace potluck {

struct ReachFlags {
  std::string name = kClusterName;  // of one of this machine
  std::string connect, key;         // HOST:PORT of another one, and its machine's key
};

void add_reach_flags(CLI::App* command, ReachFlags& flags);
// These flags for other commands, with a space before each; none for the usual cluster of here.
std::string reach_words(const ReachFlags& flags);
// Why the cluster of this machine cannot be asked, in one line; none for one that is up, and for
// one of another machine, of which only calling it tells.
std::optional<std::string> why_not_up(const ReachFlags& flags, const CommandLine& line);
// Where it takes calls. Throws Fault{input} for flags that name nothing.
Address address_of(const ReachFlags& flags, const CommandLine& line);
// This machine's keys, to call one of another machine.
std::function<LockKeys()> keys_of(const CommandLine& line);
ControlClient reach_cluster(const ReachFlags& flags, const CommandLine& line);

}  // namespace potluck
