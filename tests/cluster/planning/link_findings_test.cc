// Links that fail or are slow, by what each address and interface says; and the order of measuring.
#include "cluster/planning/link_findings.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <set>

#include "cluster/planning/rounds.h"

namespace potluck {
namespace {

using nlohmann::ordered_json;
using testing::ElementsAre;
using testing::HasSubstr;

ordered_json report_of(const std::string& address, const std::string& kind, int mbit_per_s,
                       int mtu = 1500, const std::string& firewall = "ufw") {
  return {{"firewall", firewall},
          {"interfaces",
           {{{"name", "eth0"},
             {"kind", kind},
             {"mtu", mtu},
             {"mbit_per_s", mbit_per_s},
             {"addresses", {address}}}}}};
}

class LinkFindings : public testing::Test {
 protected:
  LinkFindings() {
    cluster_.file = "lab.yaml";
    desk_.name = "desk";
    nas_.name = "nas";
    nas_.addresses = {"10.0.0.4"};
    nas_.port_first = 7000;
    nas_.line = 12;
  }

  void failed(Outcome outcome, const std::string& why) {
    reached_.tried = {{"10.0.0.4", outcome, why, outcome == Outcome::unrouted ? "" : "10.0.0.3"}};
  }
  void works(double mbit_per_s, double message_ms) {
    reached_.tried = {{"10.0.0.4", Outcome::reached, "", "10.0.0.3"}};
    reached_.address = "10.0.0.4";
    reached_.mbit_per_s = mbit_per_s;
    reached_.message_ms = message_ms;
  }
  std::vector<std::string> found() const {
    return finding_lines(
        link_findings({cluster_, desk_, nas_, desk_report_, nas_report_, 7000, reached_, false}));
  }

  std::string line(size_t index) const {
    const std::vector<std::string> lines = found();
    return index < lines.size() ? lines[index] : "";
  }

  ClusterSpec cluster_;
  HostSpec desk_, nas_;
  ordered_json desk_report_ = report_of("10.0.0.3", "ethernet", 1000),
               nas_report_ = report_of("10.0.0.4", "ethernet", 1000);
  Reached reached_;
};

TEST_F(LinkFindings, ALinkThatIsWellHasNothingToSay) {
  works(940, 12.5);
  EXPECT_THAT(found(), ElementsAre());
}

TEST_F(LinkFindings, SilenceIsADroppingFirewallAndTheCommandIsThatOfTheHost) {
  failed(Outcome::silent, "did not answer");
  EXPECT_THAT(found(),
              ElementsAre(HasSubstr("a firewall drops what comes at 10.0.0.4, TCP port 7000"),
                          "  fix: on nas: sudo ufw allow from 10.0.0.3 to any port 7000 "
                          "proto tcp"));
  nas_report_["firewall"] = "windows";
  EXPECT_THAT(line(1), HasSubstr("New-NetFirewallHyperVRule"));
  nas_.port_first = 0;
  EXPECT_THAT(line(1),
              HasSubstr("give it ports that stay the same (ports: 7000-7010 at lab.yaml:12)"));
}

TEST_F(LinkFindings, OtherFailuresHaveOtherWaysOut) {
  failed(Outcome::refused, "refused the connection");
  EXPECT_THAT(line(0), HasSubstr("nas refuses to be called at 10.0.0.4"));
  failed(Outcome::unrouted, "was not reached: Network is unreachable");
  EXPECT_THAT(line(0), HasSubstr("there is no way to nas at 10.0.0.4"));
  EXPECT_THAT(line(1), HasSubstr("sudo ip route add 10.0.0.4 via ROUTER"));
  failed(Outcome::own, "is an address of the caller itself");
  EXPECT_THAT(line(0), HasSubstr("10.0.0.4 is an address of desk itself"));
  failed(Outcome::stranger, "it has another key");
  EXPECT_THAT(line(0), HasSubstr("who is not nas (it has another key)"));
}

TEST_F(LinkFindings, AnAddressThatWorksGoesBeforeThoseThatDoNot) {
  works(940, 12.5);
  nas_.addresses = {"10.9.9.9", "10.0.0.4"};
  reached_.tried.insert(reached_.tried.begin(),
                        {"10.9.9.9", Outcome::silent, "did not answer", "10.0.0.3"});
  EXPECT_THAT(found(), ElementsAre(HasSubstr("warning: desk → nas: the address that the cluster "
                                             "file names first leads nowhere"),
                                   "  fix: write addresses: [10.0.0.4, 10.9.9.9] at lab.yaml:12"));
}

TEST_F(LinkFindings, ASlowLinkIsExplainedByItsInterfaces) {
  works(94, 123);
  EXPECT_THAT(line(1), HasSubstr("eth0 of desk runs at 1000 Mbit/s, so what lies between"));
  nas_report_ = report_of("10.0.0.4", "ethernet", 100);
  desk_report_ = report_of("10.0.0.3", "ethernet", 0);
  EXPECT_THAT(line(1), HasSubstr("eth0 of nas runs at 100 Mbit/s: try another cable"));
  desk_report_ = report_of("10.0.0.3", "wifi", 0);
  EXPECT_THAT(line(1), HasSubstr("eth0 of desk is Wi-Fi: use a cable"));
  reached_.gave_way = "silent for 2.0 s";
  EXPECT_THAT(found(), ElementsAre(HasSubstr("problem: desk → nas: small messages pass"),
                                   HasSubstr("ping -M do -s 1472 10.0.0.4")));
}

TEST_F(LinkFindings, EndsWithPacketsOfUnlikeSizesAreNoted) {
  works(940, 12.5);
  nas_report_ = report_of("10.0.0.4", "ethernet", 1000, 9000);
  EXPECT_THAT(found(),
              ElementsAre(HasSubstr("MTU 1500 at eth0, 9000 at eth0"),
                          "  fix: set both alike: sudo ip link set dev eth0 mtu 1500 on nas"));
}

TEST(Rounds, EachPairIsMeasuredOnceInEachDirectionAndNoHostTwiceInARound) {
  for (int hosts = 0; hosts <= 9; ++hosts) {
    std::set<std::pair<int, int>> pairs;
    for (const auto& round : rounds_of(hosts)) {
      std::set<int> busy;
      for (const auto& [a, b] : round) {
        EXPECT_TRUE(busy.insert(a).second && busy.insert(b).second) << hosts;
        EXPECT_TRUE(pairs.insert({a, b}).second) << hosts;
      }
    }
    EXPECT_EQ(std::ssize(pairs), hosts * (hosts - 1));
  }
}

}  // namespace
}  // namespace potluck
