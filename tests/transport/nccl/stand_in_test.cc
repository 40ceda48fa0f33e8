// The stand-in refuses what NCCL refuses, and waits for what NCCL waits for: else it would let pass
// what hangs on a card.
#include <gmock/gmock.h>

#include <thread>

#include "tests/transport/nccl/nccl_bench.h"
#include "transport/nccl/nccl_library.h"
#include "transport/nccl/self_check.h"

namespace potluck {
namespace {

constexpr int kNoCard = 1, kSystemError = 2, kInvalidArgument = 4, kInvalidUsage = 5;
constexpr int kFloat = 7;

class StandIn : public testing::Test {
 protected:
  StandIn() {
    reset_stand_in();
    nccl_ = open_nccl("cuda");
  }
  ~StandIn() override { EXPECT_EQ(stand_in_books().communicators, 0); }

  // One side, driven by hand.
  struct Side {
    std::shared_ptr<CardPort> port;
    void* stream = nullptr;
    void* communicator = nullptr;
    std::vector<std::byte> bytes = std::vector<std::byte>(1000);
  };

  Side side(const EmulatedCard& card, const NcclId& id, int rank) {
    Side made{card.port()};
    made.stream = made.port->make_stream();
    NcclConfig config;
    EXPECT_EQ(calls().make.function(&made.communicator, 2, id, rank, &config), kNcclInProgress);
    return made;
  }

  int state(const Side& side) const {
    int state = -1;
    calls().state.function(side.communicator, &state);
    return state;
  }
  int settled(const Side& side) const {
    while (state(side) == kNcclInProgress) std::this_thread::yield();
    return state(side);
  }
  bool stays_busy(const Side& side) const {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    return !side.port->is_idle(side.stream);
  }

  int send(Side& side, size_t count, int type = kNcclUint8) {
    return calls().send.function(side.bytes.data(), count, type, 1, side.communicator, side.stream);
  }
  int receive(Side& side, size_t count, int type = kNcclUint8) {
    return calls().receive.function(side.bytes.data(), count, type, 0, side.communicator,
                                    side.stream);
  }
  void abort(Side& side) {
    EXPECT_EQ(calls().abort.function(side.communicator), kNcclSuccess);
    EXPECT_TRUE(side.port->is_idle(side.stream));
    side.port->free_stream(side.stream);
  }

  const NcclCalls& calls() const { return nccl_->calls(); }

  std::shared_ptr<const NcclLibrary> nccl_;
  const EmulatedCard one_, other_;
};

TEST_F(StandIn, MovesBytesOnceBothHaveAsked) {
  const NcclId id = nccl_->new_id();
  Side from = side(one_, id, 0), to = side(other_, id, 1);
  EXPECT_EQ(settled(from), kNcclSuccess);
  EXPECT_EQ(settled(to), kNcclSuccess);
  from.bytes.assign(1000, std::byte{7});
  EXPECT_EQ(send(from, 1000), kNcclInProgress);
  EXPECT_TRUE(stays_busy(from));
  EXPECT_EQ(receive(to, 1000), kNcclInProgress);
  EXPECT_EQ(settled(from), kNcclSuccess);
  while (!to.port->is_idle(to.stream)) std::this_thread::yield();
  EXPECT_EQ(to.bytes, from.bytes);
  abort(from);
  abort(to);
}

TEST_F(StandIn, TwoRanksOfOneCardAreInvalidUsage) {
  const NcclId id = nccl_->new_id();
  Side from = side(one_, id, 0), to = side(one_, id, 1);
  EXPECT_EQ(settled(from), kInvalidUsage);
  EXPECT_EQ(settled(to), kInvalidUsage);
  abort(from);
  abort(to);
}

TEST_F(StandIn, UnequalCountsHangUntilTheAbort) {
  const NcclId id = nccl_->new_id();
  Side from = side(one_, id, 0), to = side(other_, id, 1);
  settled(from);
  settled(to);
  send(from, 1000);
  receive(to, 999);
  EXPECT_TRUE(stays_busy(from));
  EXPECT_TRUE(stays_busy(to));
  EXPECT_EQ(state(from), kNcclInProgress);
  abort(from);
  abort(to);
}

TEST_F(StandIn, TypesThatDifferAreInvalidUsage) {
  const NcclId id = nccl_->new_id();
  Side from = side(one_, id, 0), to = side(other_, id, 1);
  settled(from);
  settled(to);
  send(from, 1000);
  receive(to, 1000, kFloat);
  EXPECT_EQ(settled(from), kInvalidUsage);
  EXPECT_EQ(settled(to), kInvalidUsage);
  abort(from);
  abort(to);
}

TEST_F(StandIn, CallsAfterAnAbortFail) {
  const NcclId id = nccl_->new_id();
  Side from = side(one_, id, 0), to = side(other_, id, 1);
  abort(to);
  EXPECT_NE(receive(to, 10), kNcclSuccess);
  EXPECT_EQ(state(to), kInvalidArgument);
  EXPECT_NE(calls().abort.function(to.communicator), kNcclSuccess);
  abort(from);
  const std::lock_guard lock(stand_in_books().mutex);
  EXPECT_THAT(stand_in_books().misuses,
              testing::ElementsAre("a call after an abort", "an abort after an abort"));
}

TEST_F(StandIn, ACallWhileAnotherIsInProgressIsInvalidUsage) {
  const NcclId id = nccl_->new_id();
  Side from = side(one_, id, 0), to = side(other_, id, 1);
  settled(from);
  settled(to);
  EXPECT_EQ(send(from, 10), kNcclInProgress);
  EXPECT_EQ(send(from, 10), kInvalidUsage);
  abort(from);
  abort(to);
}

TEST_F(StandIn, AnIdThatNobodyHasMadeIsRefused) {
  NcclId id = {};
  void* communicator = nullptr;
  NcclConfig config;
  const std::shared_ptr<CardPort> port = one_.port();
  void* stream = port->make_stream();
  EXPECT_EQ(calls().make.function(&communicator, 2, id, 1, &config), kInvalidArgument);
  port->free_stream(stream);
  std::snprintf(id.bytes, sizeof(id.bytes), "stand-in 1.1");
  Side lost = side(one_, id, 1);
  EXPECT_EQ(settled(lost), kSystemError);
  abort(lost);
}

TEST_F(StandIn, AThreadWithoutACardCanMakeNothing) {
  int result = 0;
  std::thread([&] {
    void* communicator = nullptr;
    NcclConfig config;
    result = calls().make.function(&communicator, 2, nccl_->new_id(), 0, &config);
  }).join();
  EXPECT_EQ(result, kNoCard);
}

TEST_F(StandIn, APeerThatEndsIsToldByTheState) {
  const NcclId id = nccl_->new_id();
  Side from = side(one_, id, 0), to = side(other_, id, 1);
  settled(from);
  settled(to);
  send(from, 1000);
  abort(to);
  while (state(from) == kNcclInProgress) std::this_thread::yield();
  EXPECT_NE(state(from), kNcclSuccess);
  EXPECT_TRUE(stays_busy(from));
  abort(from);
}

TEST_F(StandIn, OneCardCopiesByNccl) {
  const std::shared_ptr<CardPort> port = one_.port();
  std::vector<int> from(1000, 3), to(1000);
  EXPECT_EQ(copy_by_nccl(port, from.data(), to.data(), 4000), "NCCL 2.21.5");
  EXPECT_EQ(to, from);
  EXPECT_EQ(stand_in_books().done, 1);
}

TEST_F(StandIn, AnOldLibraryIsRefusedByItsVersion) {
  stand_in_books().version = 21305;
  try {
    open_nccl("cuda");
    FAIL() << "it was taken";
  } catch (const Fault& fault) {
    EXPECT_THAT(fault.what(), testing::HasSubstr("NCCL 2.13.5, which is too old; install 2.14"));
  }
}

TEST_F(StandIn, AMissingLibraryIsNamedWithTheWayOut) {
  nccl_places()["hip"] = {"librccl-that-is-not-there.so.1"};
  try {
    open_nccl("hip");
    FAIL() << "it was found";
  } catch (const Fault& fault) {
    EXPECT_STREQ(fault.what(),
                 "librccl.so.1 is not installed; install RCCL 2.14 or newer, or leave \"transport: "
                 "nccl\" out of the plan");
  }
}

}  // namespace
}  // namespace potluck
