// Registers the flags, refuses those that contradict each other, and completes the others.
#include "cluster/launch/up_flags.h"

#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>

#include "cluster/cli/flag_checks.h"
#include "cluster/launch/control_port.h"
#include "cluster/ring/device_rooms.h"
#include "cluster/ring/remote_shell.h"
#include "topology/base/endpoint.h"
#include "topology/base/key.h"

namespace potluck {
namespace {

// Whether machines may join where nobody has said so: a file of a cluster or a plan says who takes
// part, and nobody comes over links that are not locked, or to an address that is no other's.
bool may_join(const UpFlags& flags) {
  if (flags.no_join || !flags.cluster.empty() || !flags.ring.plan.empty() ||
      flags.ring.insecure_plaintext)
    return false;
  return flags.listen.empty() || !is_loopback(parse_listen(flags.listen));
}

}  // namespace

void add_up_flags(CLI::App* command, UpFlags& flags) {
  file_name(command->add_option("-f,--cluster,--file", flags.cluster, "the cluster file"));
  model_name(
      command->add_option("-m,--model", flags.model, "the model (default: the cluster file's)"));
  command->add_option("--name", flags.name, "the name of the cluster, if there are several")
      ->capture_default_str();
  command->add_option("--ssh", flags.ssh, kRemoteShellHelp)->type_name("CMD");
  not_empty(command->add_option(
                "--listen", flags.listen,
                "HOST:PORT at which clients of other machines may call (* is all addresses)"))
      ->type_name("HOST:PORT");
  command
      ->add_option("--allow", flags.allow,
                   "the public key of a machine whose clients may (what potluck key shows there); "
                   "once for each")
      ->type_name("KEY")
      ->allow_extra_args(false);
  command->add_flag(
      "--join", flags.join,
      "let other machines join by potluck join, at TCP port " + std::to_string(kControlPort) +
          " or another that is free, or that of --listen (default without -f and --plan)");
  command->add_flag("--no-join", flags.no_join, "let no other machine join");
  command->add_flag("--foreground", flags.foreground, "stay, and end with Ctrl-C");
  add_ring_flags(command, flags.ring);
  command->option_defaults()->group("Display");
  add_log_flags(command, flags.log);
}

void check_up_flags(const UpFlags& flags) {
  check_ring_flags(flags.ring);
  if (!flags.cluster.empty()) check_beside_cluster(flags.ring);
  if (flags.cluster.empty() && flags.model.empty())
    throw Fault(FaultKind::input, "nothing says what to start",
                Fix{"give -f CLUSTER.yaml, or -m MODEL for this machine alone"});
  if (!flags.ring.host.empty() || !flags.ring.transport.empty())
    throw Fault(FaultKind::input,
                "a cluster that stays is of processes linked by zmq; leave out --host and "
                "--transport");
  for (const std::string& key : flags.allow)
    if (!is_key(key))
      throw Fault(FaultKind::input, "--allow " + key + " is no key",
                  Fix{"it must be what potluck key shows on the machine that is to ask"});
  if (flags.join && flags.no_join)
    throw Fault(FaultKind::input, "--join and --no-join contradict each other; leave one out");
  if (flags.join && flags.ring.insecure_plaintext)
    throw Fault(FaultKind::input, "--join and --insecure-plaintext contradict each other",
                Fix{"machines that join are known by their keys; leave one out"});
  if (!flags.listen.empty() && is_loopback(parse_listen(flags.listen)) && flags.join)
    throw Fault(FaultKind::input,
                "--join lets other machines in, and --listen " + flags.listen +
                    " is an address that none of them reaches",
                Fix{"listen at *:7117, or leave one of the two out"});
  if (!flags.allow.empty() && flags.listen.empty())
    throw Fault(FaultKind::input, "--allow is for clients of other machines",
                Fix{"say with --listen HOST:PORT where they call"});
}

UpFlags completed(UpFlags flags) {
  if (flags.cluster.empty() && leaves_devices_open(flags.ring))
    flags.ring.options.devices = {kAutoDevice};
  if (!flags.join && may_join(flags)) {
    flags.join = !control_addresses().empty();
    if (!flags.join) spdlog::info("no other machine can join: this one has no address for them");
  } else if (!flags.join && !flags.listen.empty() && is_loopback(parse_listen(flags.listen))) {
    spdlog::info("no other machine can join: none of them reaches --listen {}", flags.listen);
  }
  return flags;
}

std::string listen_text(const UpFlags& flags) {
  if (!flags.listen.empty() || !flags.join) return flags.listen;
  return "*:" + std::to_string(kControlPort);
}

bool may_wait(const UpFlags& flags, const Fault& fault) {
  return fault.kind() == FaultKind::memory && flags.join && flags.cluster.empty() &&
         flags.ring.plan.empty();
}

}  // namespace potluck
