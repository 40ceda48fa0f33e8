// Endpoints that people write, and what their hosts mean.
#include "topology/base/endpoint.h"

#include <gtest/gtest.h>

namespace potluck {
namespace {

TEST(Endpoint, AnyAddressThatAMachineHasCanBeWritten) {
  for (const std::string host :
       {"10.0.0.4", "spare-desktop", "spare.example.org", "[fd00::4]", "[::ffff:10.0.0.4]",
        "[fe80::4%eth0]", "[fe80::4%enp3s0f1np1.100]", "[fe80::4%2]", "*", "0.0.0.0", "[::]"}) {
    const auto endpoint = parse_endpoint("tcp://" + host + ":7000");
    ASSERT_TRUE(endpoint) << host;
    EXPECT_EQ(endpoint->host, host);
    EXPECT_EQ(endpoint->port, 7000);
  }
}

TEST(Endpoint, AnythingElseIsNone) {
  for (const char* text :
       {"tcp://:7000", "tcp://[]:7000", "tcp://[fe80::4%]:7000", "tcp://[fe80::4%a b]:7000",
        "tcp://[%eth0]:7000", "tcp://[fe80::4%eth0%eth1]:7000", "tcp://[spare]:7000",
        "tcp://fe80::4%eth0:7000", "tcp://**:7000", "tcp://*x:7000", "tcp://a:0", "tcp://a:*",
        "tcp://a:07000", "tcp://[fd00::4:7000", "udp://a:1"})
    EXPECT_FALSE(parse_endpoint(text)) << text;
}

bool loopback(const std::string& host) {
  return is_loopback(*parse_endpoint("tcp://" + host + ":7000"));
}

TEST(Endpoint, ANameThatBeginsLikeLoopbackIsNone) {
  for (const char* host : {"127.0.0.1", "127.8.9.10", "127.1", "localhost", "[::1]",
                           "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]"})
    EXPECT_TRUE(loopback(host)) << host;
  for (const char* host : {"127.example.org", "127.0.0.1.example.org", "127-0-0-1", "12.7.0.1",
                           "127.0.0.1x", "localhost.example.org", "[::2]", "[fe80::1%lo]", "*"})
    EXPECT_FALSE(loopback(host)) << host;
  EXPECT_TRUE(is_loopback(*parse_endpoint("ipc:///run/a")));
}

TEST(Endpoint, NobodyCanDialAllAddressesOfAMachine) {
  const auto any = [](const std::string& host) {
    return is_any_address(*parse_endpoint("tcp://" + host + ":7000"));
  };
  for (const char* host : {"*", "0.0.0.0", "0", "0x0", "[::]", "[0::0]", "[::ffff:0.0.0.0]"})
    EXPECT_TRUE(any(host)) << host;
  for (const char* host : {"0.0.0.1", "10.0.0.0", "0.example.org", "[::1]", "[fe80::%eth0]"})
    EXPECT_FALSE(any(host)) << host;
  EXPECT_FALSE(is_any_address(*parse_endpoint("ipc://*")));
}

TEST(Endpoint, AHostIsAMachinesNameOrAddress) {
  for (const char* host : {"10.0.0.4", "127.0.0.1", "223.255.255.255", "nas", "nas.lan", "nas.lan.",
                           "127.example.org", "0x.org", "1and1.com", "2024.lan.x9", "[fd00::4]",
                           "[fe80::4%eth0]", "localhost", "a_b", "xn--bcher-kva.example"})
    EXPECT_TRUE(is_machine(host)) << host;
  for (const char* host : {"300.1.1.1", "10.0.0", "10.1", "1.2.3.4.5", "010.0.0.1", "a..b", ".inf",
                           "-a", "a-.b", "255.255.255.255", "224.0.0.1", "239.1.2.3", "0x0a000002",
                           "167772162", "nas.7", "", ".", "*"})
    EXPECT_FALSE(is_machine(host)) << host;
}

TEST(Endpoint, AZoneIsLeftOutAndNothingElse) {
  EXPECT_EQ(without_zone("tcp://[fe80::4%eth0]:7000"), "tcp://[fe80::4]:7000");
  for (const char* text : {"tcp://[fe80::4]:7000", "tcp://10.0.0.4:7000", "ipc:///run/50%",
                           "ipc:///run/]50%", "test://0", ""})
    EXPECT_EQ(without_zone(text), text);
}

}  // namespace
}  // namespace potluck
