// Finds the control channel of a cluster that is up.
#include "cluster/ring/reach_cluster.h"

#include <CLI/CLI.hpp>

#include "cluster/ring/key_file.h"
#include "topology/base/endpoint.h"
#include "topology/base/fault.h"
#include "topology/base/key.h"

namespace potluck {

void add_reach_flags(CLI::App* command, ReachFlags& flags) {
  command->add_option("--name", flags.name, "which cluster of this machine, if there are several")
      ->capture_default_str();
  command->add_option("--connect", flags.connect,
                      "HOST:PORT of a cluster of another machine (potluck up --listen there)");
  command->add_option("--key", flags.key, "with --connect: what potluck key shows on that machine");
}

std::string reach_words(const ReachFlags& flags) {
  if (!flags.connect.empty()) return " --connect " + flags.connect + " --key " + flags.key;
  return flags.name == kClusterName ? "" : " --name " + flags.name;
}

std::optional<std::string> why_not_up(const ReachFlags& flags, const CommandLine& line) {
  if (!flags.connect.empty()) return std::nullopt;
  const RunningCluster running(line.state, flags.name);
  const auto state = running.read();
  const std::string name = "\"" + flags.name + "\"";
  if (!running.is_up()) {
    if (state && state->phase == ClusterState::Phase::failed)
      return "the cluster " + name + " has failed: " + state->failure;
    return state ? "the cluster " + name + " ended without a word; potluck up starts it anew"
                 : "no cluster " + name + " is up; potluck up starts one";
  }
  if (state && state->phase == ClusterState::Phase::ending)
    return "the cluster " + name + " is just ending";
  if (!state || state->phase != ClusterState::Phase::up)
    return "the cluster " + name +
           " is being started; potluck logs coordinator shows how far it is";
  return std::nullopt;
}

Address address_of(const ReachFlags& flags, const CommandLine& line) {
  if (flags.connect.empty()) return "ipc://" + RunningCluster(line.state, flags.name).socket();
  const std::string endpoint = "tcp://" + flags.connect;
  if (!parse_endpoint(endpoint))
    throw Fault(FaultKind::input, "--connect " + flags.connect + " is no HOST:PORT");
  if (!is_key(flags.key))
    throw Fault(FaultKind::input,
                flags.key.empty() ? "--connect needs the key of that machine"
                                  : "--key " + flags.key + " is no key",
                Fix{"give --key and what potluck key shows there"});
  return {endpoint, flags.key};
}

std::function<LockKeys()> keys_of(const CommandLine& line) {
  return [file = KeyFile(line.config)] { return file.read_or_make(); };
}

ControlClient reach_cluster(const ReachFlags& flags, const CommandLine& line) {
  if (const auto why = why_not_up(flags, line)) throw Fault(FaultKind::input, *why);
  return {address_of(flags, line), keys_of(line)};
}

}  // namespace potluck
