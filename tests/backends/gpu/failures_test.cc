// Whatever fails in a card's driver while a plan is loaded and run: one clear fault that names card
// and call, nothing left behind, and the same process loads the plan again and answers right.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <set>

#include "tests/backends/gpu/stub_machine.h"
#include "tests/backends/gpu/stub_ring.h"

namespace potluck {
namespace {

using testing::AnyOf;
using testing::HasSubstr;
using testing::IsEmpty;

bool frees(const std::string& call) {
  for (const char* word : {"Free", "Destroy", "Unload", "Release"})
    if (call.find(word) != std::string::npos) return true;
  return false;
}

bool enters(const std::string& call) {
  return call == "cuCtxSetCurrent" || call == "hipSetDevice";
}

class Failures : public testing::TestWithParam<const char*> {
 protected:
  std::vector<std::string> devices(int card = 0) const {
    return {"cpu", machine_.device(card), "cpu"};
  }
  std::string name(int card = 0) const {
    return (machine_.is_cuda() ? "NVIDIA Stub 3060 (" : "AMD Stub 6800 (") + machine_.device(card) +
           ")";
  }

  void expect_answer(StubRing& ring) {
    const Outcome outcome = ring.ask();
    ASSERT_TRUE(outcome.result) << (outcome.fault ? outcome.fault->what() : "it hangs");
    EXPECT_EQ(outcome.result->ids, expected_);
  }

  // In fast products, which do more at the load.
  static std::unique_ptr<StubRing> ring_on(const std::vector<std::string>& devices) {
    return std::make_unique<StubRing>(devices, Precision::fast);
  }

  void expect_nothing_held() {
    EXPECT_THAT(machine_.books().live, IsEmpty());
    EXPECT_THAT(machine_.books().misuses, IsEmpty());
  }

  // The fault of a ring that is made, loaded and asked, or nothing if it answers and goes. Then the
  // same ring has to answer, or another if that one could not even start or is gone.
  std::optional<Fault> fault_and_recovery() {
    std::optional<Fault> fault;
    std::unique_ptr<StubRing> ring;
    try {
      ring = ring_on(devices());
      const Outcome outcome = ring->ask();
      EXPECT_TRUE(outcome.ended) << "it hangs";
      fault = outcome.fault;
      if (!fault) ring.reset();
    } catch (const Fault& thrown) {
      fault = thrown;
    }
    if (!ring) ring = ring_on(devices());
    expect_answer(*ring);
    return fault;
  }

  // The places are the first, one in the middle and the last of each call that a good run makes.
  std::map<int, std::string> places() {
    ring_on(devices())->ask();
    std::map<std::string, std::vector<int>> by_name;
    const std::vector<std::string>& calls = machine_.books().calls;
    for (size_t i = 0; i < calls.size(); ++i) by_name[calls[i]].push_back(static_cast<int>(i) + 1);
    std::map<int, std::string> places;
    for (const auto& [call, all] : by_name)
      for (const size_t i : {size_t{0}, all.size() / 2, all.size() - 1}) places[all[i]] = call;
    return places;
  }

  StubMachine machine_{GetParam()};
  const std::vector<int32_t> expected_ = [this] {
    std::vector<int32_t> ids = ring_on(devices())->ask().result.value().ids;
    machine_.start_again();
    return ids;
  }();
};

TEST_P(Failures, OfAnyCallAreOneFaultEachAndLeaveNothing) {
  const std::map<int, std::string> all = places();
  EXPECT_GE(all.size(), 50u);
  for (const auto& [number, call] : all) {
    SCOPED_TRACE("call " + std::to_string(number) + ", " + call);
    machine_.start_again();
    machine_.books().failing_call = number;
    const std::optional<Fault> fault = fault_and_recovery();
    if (frees(call)) {
      EXPECT_FALSE(fault) << fault->what();
    } else if (fault || !enters(call)) {  // a card may be entered to free something
      ASSERT_TRUE(fault);
      EXPECT_THAT(fault->what(),
                  AllOf(HasSubstr(call + " failed: "),
                        AnyOf(HasSubstr(name()), HasSubstr("CUDA"), HasSubstr("HIP"))));
    }
    expect_nothing_held();
  }
}

TEST_P(Failures, OfAnyAllocationAreFaultsOfMemory) {
  ring_on(devices())->ask();
  const int all = machine_.books().allocations;
  constexpr int kPlaces = 24;
  ASSERT_GE(all, kPlaces);
  for (int place = 0; place < kPlaces; ++place) {
    const int number = 1 + place * (all - 1) / (kPlaces - 1);
    SCOPED_TRACE("allocation " + std::to_string(number) + " of " + std::to_string(all));
    machine_.start_again();
    machine_.books().failing_allocation = number;
    const std::optional<Fault> fault = fault_and_recovery();
    ASSERT_TRUE(fault);
    EXPECT_EQ(fault->kind(), FaultKind::memory);
    EXPECT_THAT(fault->what(), AllOf(HasSubstr(name()), AnyOf(HasSubstr("OUT_OF_MEMORY (2)"),
                                                              HasSubstr("OutOfMemory (2)"))));
    expect_nothing_held();
  }
}

TEST_P(Failures, MemoryThatOthersTakeBeforeTheLoadIsRefusedWithTheArithmetic) {
  {
    const auto ring = ring_on(devices());
    machine_.books().bytes_taken_by_others = (size_t{12} << 30) - 50'000;
    const Outcome outcome = ring->ask();
    ASSERT_TRUE(outcome.fault);
    EXPECT_EQ(outcome.fault->kind(), FaultKind::memory);
    EXPECT_THAT(outcome.fault->what(), AllOf(HasSubstr("has 50"), HasSubstr("its part needs "),
                                             HasSubstr("give it fewer layers")));
    machine_.books().bytes_taken_by_others = 0;
    expect_answer(*ring);
  }
  expect_nothing_held();
}

TEST_P(Failures, OfACardThatHangsAreReportedAndLeaveTheOtherCards) {
  constexpr int kHangs = 1;
  machine_.books().cards = 2;
  machine_.be_patient(std::chrono::milliseconds(10));
  auto ring = ring_on(devices(kHangs));
  machine_.books().hangs = true;
  const Outcome outcome = ring->ask();
  ASSERT_TRUE(outcome.fault);
  EXPECT_EQ(outcome.fault->kind(), FaultKind::world);
  EXPECT_THAT(outcome.fault->what(), HasSubstr(name(kHangs) + " hangs"));
  ring.reset();
  EXPECT_FALSE(machine_.books().live.empty()) << "a call that frees may never come back";
  EXPECT_THROW(ring_on(devices(kHangs)), Fault);
  machine_.books().hangs = false;
  expect_answer(*ring_on(devices()));
}

TEST_P(Failures, OfACardThatIsLostForGoodSaySo) {
  {
    const auto ring = ring_on(devices());
    const auto run = machine_.books().run;
    machine_.books().run = [this, launches = 0](const StubLaunch&) mutable {
      if (++launches == 5) machine_.books().broken = kStubGone;
    };
    const Outcome outcome = ring->ask();
    ASSERT_TRUE(outcome.fault);
    EXPECT_THAT(outcome.fault->what(), AllOf(HasSubstr(machine_.device()), HasSubstr("(100)"),
                                             HasSubstr("fell off the bus")));
    machine_.books().broken = 0;
    machine_.books().run = run;
    expect_answer(*ring);
  }
  expect_nothing_held();
}

INSTANTIATE_TEST_SUITE_P(Of, Failures, testing::Values("cuda_12_2", "hip_6"),
                         [](const auto& stub) { return std::string(stub.param); });

}  // namespace
}  // namespace potluck
