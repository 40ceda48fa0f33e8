// The whole chain from a driver's library to the answer of a ring, on stub cards of every version
// whose behaviour differs.
#include <gtest/gtest.h>

#include "tests/backends/gpu/stub_machine.h"
#include "tests/backends/gpu/stub_ring.h"

namespace potluck {
namespace {

class Chain : public testing::TestWithParam<const char*> {};

TEST_P(Chain, ARingOnCardsAndCpuAnswersAsOnTheCpu) {
  StubMachine machine(GetParam());
  const std::string card = machine.device();
  {
    StubRing ring({card, card, "cpu"});
    const Outcome outcome = ring.ask();
    ASSERT_TRUE(outcome.result) << (outcome.fault ? outcome.fault->what() : "it hangs");
    EXPECT_EQ(outcome.result->ids, answer_on_cpu());
  }
  EXPECT_TRUE(machine.books().live.empty());
  EXPECT_EQ(machine.books().misuses, std::vector<std::string>{});
}

INSTANTIATE_TEST_SUITE_P(Of, Chain,
                         testing::Values("cuda_12_2", "cuda_13_0", "hip_5", "hip_6", "hip_7"),
                         [](const auto& stub) { return std::string(stub.param); });

}  // namespace
}  // namespace potluck
