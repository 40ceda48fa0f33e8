// Reads the files of systemd, of firewalls and of the kernel that anybody may read.
#include "cluster/planning/machine_state.h"

#include <algorithm>
#include <fstream>
#include <iterator>

namespace potluck {
namespace {

namespace fs = std::filesystem;

constexpr Firewall kFirewalls[] = {Firewall::unknown, Firewall::ufw, Firewall::firewalld,
                                   Firewall::nftables, Firewall::windows};
constexpr char kSleepTargets[] = "sleep.target suspend.target hibernate.target";
constexpr char kLoginFile[] = "/etc/systemd/logind.conf.d/potluck.conf";
// The Hyper-V firewall knows Linux within Windows by this id.
constexpr char kWslCreator[] = "{40E0AC32-46A5-438A-A0B2-2B479E8F2E90}";

std::string text_of(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool there(const fs::path& path) {
  std::error_code none;
  return fs::exists(fs::symlink_status(path, none));
}

// A target that was masked is a link to /dev/null.
bool is_masked(const fs::path& root, const char* target) {
  std::error_code none;
  return fs::read_symlink(root / "etc/systemd/system" / target, none) == "/dev/null";
}

// The last value of a key in the text of a systemd file.
void take_setting(const std::string& text, const std::string& key, std::string& value) {
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    if (line.rfind(key + "=", 0) == 0) value = line.substr(key.size() + 1);
    at = end + 1;
  }
}

std::string login_setting(const fs::path& root, const std::string& key, std::string value) {
  take_setting(text_of(root / "etc/systemd/logind.conf"), key, value);
  std::error_code none;
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(root / "etc/systemd/logind.conf.d", none))
    if (entry.path().extension() == ".conf") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) take_setting(text_of(file), key, value);
  return value;
}

Firewall guard_of(const fs::path& root, bool wsl) {
  if (wsl) return Firewall::windows;
  if (text_of(root / "etc/ufw/ufw.conf").find("ENABLED=yes") != std::string::npos)
    return Firewall::ufw;
  if (there(root / "run/firewalld")) return Firewall::firewalld;
  const bool nft = there(root / "usr/sbin/nft") || there(root / "usr/sbin/iptables");
  return nft ? Firewall::nftables : Firewall::unknown;
}

Finding login_finding(const std::string& what, const std::string& setting) {
  return {Severity::warning, "", what,
          "write \"[Login]\" and \"" + setting + "\" to " + kLoginFile +
              ", then: sudo systemctl kill -s HUP systemd-logind"};
}

}  // namespace

MachineState machine_state(const fs::path& root) {
  MachineState state;
  const std::string kernel = text_of(root / "proc/sys/kernel/osrelease");
  state.wsl = kernel.find("microsoft") != std::string::npos;
  state.wsl_mirrored = state.wsl && there(root / "sys/class/net/loopback0");
  const bool can = text_of(root / "sys/power/state").find("mem") != std::string::npos;
  state.may_sleep =
      can && !state.wsl && !is_masked(root, "sleep.target") && !is_masked(root, "suspend.target");
  const std::string lid = login_setting(root, "HandleLidSwitch", "suspend");
  state.lid_sleeps = state.may_sleep && there(root / "proc/acpi/button/lid") &&
                     lid.find("suspend") != std::string::npos;
  const std::string idle = login_setting(root, "IdleAction", "ignore");
  if (state.may_sleep && idle != "ignore" && idle != "lock") state.idle_action = idle;
  state.firewall = guard_of(root, state.wsl);
  return state;
}

std::vector<Finding> state_findings(const MachineState& state) {
  std::vector<Finding> found;
  if (state.wsl && !state.wsl_mirrored)
    found.push_back(
        {Severity::problem, "",
         "this is Linux within Windows (WSL2), and Windows hides its addresses from "
         "other machines",
         "write \"[wsl2]\" and \"networkingMode=mirrored\" to %UserProfile%\\.wslconfig, "
         "type wsl --shutdown and start it again; then " +
             open_port_command(Firewall::windows, 7000, "")});
  if (state.wsl_mirrored)
    found.push_back(
        {Severity::note, "",
         "this is Linux within Windows (WSL2) with Windows' own addresses; the firewall "
         "of Windows decides who reaches it",
         open_port_command(Firewall::windows, 7000, "")});
  if (state.lid_sleeps)
    found.push_back(
        login_finding("this machine sleeps when its lid is closed", "HandleLidSwitch=ignore"));
  if (!state.idle_action.empty())
    found.push_back(login_finding("this machine goes to " + state.idle_action + " when it is idle",
                                  "IdleAction=ignore"));
  if (state.may_sleep && !state.lid_sleeps && state.idle_action.empty())
    found.push_back({Severity::note, "", "its desktop, or somebody, may put this machine to sleep",
                     std::string("sudo systemctl mask ") + kSleepTargets});
  return found;
}

const char* firewall_name(Firewall firewall) {
  switch (firewall) {
    case Firewall::unknown:
      return "unknown";
    case Firewall::ufw:
      return "ufw";
    case Firewall::firewalld:
      return "firewalld";
    case Firewall::nftables:
      return "nftables";
    case Firewall::windows:
      return "windows";
  }
  return "";
}

Firewall firewall_of(const std::string& name) {
  for (const Firewall firewall : kFirewalls)
    if (name == firewall_name(firewall)) return firewall;
  return Firewall::unknown;
}

std::string open_port_command(Firewall firewall, int port, const std::string& from) {
  const std::string number = std::to_string(port);
  const std::string ufw = "sudo ufw allow " +
                          (from.empty() ? "" : "from " + from + " to any port ") + number +
                          (from.empty() ? "/tcp" : " proto tcp");
  const std::string firewalld =
      "sudo firewall-cmd --permanent --add-port=" + number + "/tcp && sudo firewall-cmd --reload";
  const std::string nft = "sudo nft insert rule inet filter input tcp dport " + number + " accept";
  switch (firewall) {
    case Firewall::ufw:
      return ufw;
    case Firewall::firewalld:
      return firewalld;
    case Firewall::nftables:
      return nft + " (sudo nft list ruleset shows what its tables are called)";
    case Firewall::windows:
      return "in PowerShell as administrator: New-NetFirewallRule -DisplayName potluck -Direction "
             "Inbound -Protocol TCP -LocalPort " +
             number +
             " -Action Allow; New-NetFirewallHyperVRule -Name potluck -DisplayName potluck "
             "-Direction Inbound -VMCreatorId '" +
             kWslCreator + "' -Protocol TCP -LocalPorts " + number;
    case Firewall::unknown:
      return ufw + " (for ufw), " + firewalld + " (for firewalld) or " + nft + " (for nftables)";
  }
  return "";
}

}  // namespace potluck
