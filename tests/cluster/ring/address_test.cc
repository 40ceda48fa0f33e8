// Which address of this machine another one is given.
#include "cluster/ring/address.h"

#include <gmock/gmock.h>

#include "topology/base/fault.h"

namespace potluck {
namespace {

using testing::HasSubstr;

TEST(Address, IsTheOneThatTheKernelSendsFrom) {
  EXPECT_EQ(address_towards("tcp://127.0.0.1:7000"), "127.0.0.1");
  EXPECT_EQ(address_towards("tcp://127.9.9.9:7000"), "127.0.0.1");
  EXPECT_EQ(address_towards("tcp://[::1]:7000"), "[::1]");
}

std::string refusal_of_address(const std::string& endpoint) {
  try {
    return "it is " + address_towards(endpoint);
  } catch (const Fault& fault) {
    return fault.what();
  }
}

TEST(Address, WhereThereIsNoRouteTheAddressesAreNamed) {
  EXPECT_EQ(
      refusal_of_address("tcp://255.255.255.255:7000"),
      "this machine has no route to tcp://255.255.255.255:7000 (255.255.255.255); see that it "
      "has an address in that network, or a route there");
  EXPECT_THAT(refusal_of_address("tcp://[fe80::4%nosuch7]:7000"),
              HasSubstr("has no interface nosuch7"));
}

TEST(Address, AnEndpointOfAnotherKindIsRefused) {
  EXPECT_THAT(refusal_of_address("ipc:///run/a"), HasSubstr("is not tcp://HOST:PORT"));
  EXPECT_THAT(refusal_of_address("tcp://no such host:1"), HasSubstr("is not tcp://HOST:PORT"));
}

}  // namespace
}  // namespace potluck
