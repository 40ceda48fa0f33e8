// The state of this machine, as the system's files tell it: what would put it to sleep, which
// firewall guards it, and whether it is a Linux within Windows.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "cluster/planning/finding.h"

namespace potluck {

enum class Firewall { unknown, ufw, firewalld, nftables, windows };

struct MachineState {
  bool wsl = false;           // Linux within Windows (WSL2)
  bool wsl_mirrored = false;  // which shares Windows' addresses
  bool may_sleep = false;     // the kernel can, and nothing forbids it
  bool lid_sleeps = false;    // there is a lid, and closing it suspends
  std::string idle_action;    // "suspend" where logind does that to an idle machine
  Firewall firewall = Firewall::unknown;
};

// root: where /etc, /proc and /sys are.
MachineState machine_state(const std::filesystem::path& root = "/");

std::vector<Finding> state_findings(const MachineState& state);

const char* firewall_name(Firewall firewall);
Firewall firewall_of(const std::string& name);

// The command that lets TCP in at the port, for callers from `from` (an address; empty: any).
std::string open_port_command(Firewall firewall, int port, const std::string& from);

}  // namespace potluck
