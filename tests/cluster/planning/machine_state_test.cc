// Small trees of files stand for machines: these are told apart by what the files say.
#include "cluster/planning/machine_state.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace potluck {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class MachineStateTest : public testing::Test {
 protected:
  MachineStateTest() { fs::create_directories(root_); }
  ~MachineStateTest() override { fs::remove_all(root_); }

  void file(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  void mask(const std::string& target) {
    fs::create_directories(root_ / "etc/systemd/system");
    fs::create_symlink("/dev/null", root_ / "etc/systemd/system" / target);
  }
  MachineState state() const { return machine_state(root_); }
  std::string findings() const {
    std::string text;
    for (const std::string& line : finding_lines(state_findings(state()))) text += line + "\n";
    return text;
  }

  const fs::path root_ = fs::temp_directory_path() / ("machine_state." + std::to_string(getpid()));
};

TEST_F(MachineStateTest, AServerThatCannotSleepHasNothingToSay) {
  file("sys/power/state", "\n");
  EXPECT_EQ(findings(), "");
}

TEST_F(MachineStateTest, ALaptopSleepsByItsLidUnlessItIsTold) {
  file("sys/power/state", "freeze mem disk\n");
  file("proc/acpi/button/lid/LID0/state", "open\n");
  EXPECT_THAT(findings(), HasSubstr("sleeps when its lid is closed"));
  EXPECT_THAT(findings(), HasSubstr("HandleLidSwitch=ignore"));
  file("etc/systemd/logind.conf", "[Login]\n#HandleLidSwitch=suspend\n");
  EXPECT_TRUE(state().lid_sleeps);
  file("etc/systemd/logind.conf.d/x.conf", "[Login]\nHandleLidSwitch=ignore\n");
  EXPECT_FALSE(state().lid_sleeps);
  EXPECT_THAT(findings(), HasSubstr("sudo systemctl mask sleep.target"));
}

TEST_F(MachineStateTest, AMaskedSleepTargetIsEnough) {
  file("sys/power/state", "mem\n");
  file("proc/acpi/button/lid/LID0/state", "open\n");
  file("etc/systemd/logind.conf", "[Login]\nIdleAction=suspend\n");
  EXPECT_EQ(state().idle_action, "suspend");
  mask("sleep.target");
  EXPECT_EQ(findings(), "");
}

TEST_F(MachineStateTest, LinuxWithinWindowsIsToldOfMirroredAddressesAndOfTheFirewall) {
  file("proc/sys/kernel/osrelease", "5.15.153.1-microsoft-standard-WSL2\n");
  EXPECT_EQ(state().firewall, Firewall::windows);
  EXPECT_TRUE(has_problem(state_findings(state())));
  EXPECT_THAT(findings(), HasSubstr("networkingMode=mirrored"));
  EXPECT_THAT(findings(), HasSubstr("New-NetFirewallRule"));
  file("sys/class/net/loopback0/mtu", "65536\n");
  EXPECT_FALSE(has_problem(state_findings(state())));
  EXPECT_THAT(findings(), HasSubstr("New-NetFirewallHyperVRule"));
}

TEST_F(MachineStateTest, EachFirewallHasItsOwnCommand) {
  EXPECT_EQ(state().firewall, Firewall::unknown);
  file("usr/sbin/nft", "");
  EXPECT_EQ(state().firewall, Firewall::nftables);
  fs::create_directories(root_ / "run/firewalld");
  EXPECT_EQ(state().firewall, Firewall::firewalld);
  file("etc/ufw/ufw.conf", "ENABLED=yes\n");
  EXPECT_EQ(state().firewall, Firewall::ufw);
  EXPECT_EQ(open_port_command(Firewall::ufw, 7000, "10.0.0.3"),
            "sudo ufw allow from 10.0.0.3 to any port 7000 proto tcp");
  EXPECT_THAT(open_port_command(Firewall::firewalld, 7000, ""), HasSubstr("--add-port=7000/tcp"));
  EXPECT_THAT(open_port_command(Firewall::nftables, 7000, ""), HasSubstr("tcp dport 7000 accept"));
  EXPECT_EQ(firewall_of(firewall_name(Firewall::firewalld)), Firewall::firewalld);
}

}  // namespace
}  // namespace potluck
