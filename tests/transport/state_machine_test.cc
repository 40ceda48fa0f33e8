// The loop that drives a state machine, when what the machine says cannot be sent.
#include "transport/state_machine.h"

#include <gmock/gmock.h>

#include <functional>

#include "transport/inproc/inproc.h"

namespace potluck {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Says what it was given to say, and remembers the downs.
class Speaker final : public StateMachine {
 public:
  Outbox handle(Time, Event event) override {
    if (event.kind == Event::Kind::down) downs.push_back(event.reason);
    Outbox out;
    if (event.kind == Event::Kind::down && answer_down) out.messages = {to(event.peer)};
    return out;
  }
  Outbox tick(Time) override { return std::exchange(next, {}); }
  bool idle_work() override { return true; }

  static Message to(PeerId peer) {
    Message message;
    message.header.kind = MessageKind::denoise;
    message.header.destination = peer;
    return message;
  }

  Outbox next;
  bool answer_down = false;
  std::vector<std::string> downs;
};

class Loop : public testing::Test {
 protected:
  Loop() {
    Identity identity;
    identity.self = 4;
    other_->set_identity(identity);
    other_->listen("inproc://there");
  }

  std::shared_ptr<InprocHub> hub_ = make_inproc_hub();
  std::unique_ptr<Transport> transport_ = make_inproc_transport(hub_);
  std::unique_ptr<Transport> other_ = make_inproc_transport(hub_);
  Speaker machine_;
};

TEST_F(Loop, AMessageToAPeerWithoutALinkIsADown) {
  machine_.next.messages = {Speaker::to(4), Speaker::to(4), Speaker::to(5)};
  EXPECT_TRUE(run_once(machine_, *transport_));
  EXPECT_THAT(machine_.downs, ElementsAre(HasSubstr("peer 4"), HasSubstr("peer 5")));
}

TEST_F(Loop, AMessageThatPassesALimitIsADown) {
  transport_->connect(4, "inproc://there");
  EXPECT_TRUE(run_once(machine_, *transport_));  // up
  machine_.next.messages = {Speaker::to(4)};
  machine_.next.messages[0].header.hops.resize(kHopsMax + 1);
  EXPECT_TRUE(run_once(machine_, *transport_));
  EXPECT_THAT(machine_.downs, ElementsAre(HasSubstr("hops has length 261")));
  EXPECT_EQ(other_->wait(now()).value().kind, Event::Kind::up);
  EXPECT_EQ(other_->wait(now()).value().reason, "closed by peer");
}

TEST_F(Loop, AMachineThatAnswersALossToTheLostIsNotAskedForEver) {
  machine_.answer_down = true;
  machine_.next.messages = {Speaker::to(4)};
  EXPECT_TRUE(run_once(machine_, *transport_));
  EXPECT_EQ(machine_.downs.size(), 1u);
}

TEST_F(Loop, AMachineThatHasFinishedIsNotAskedAgain) {
  machine_.next.messages = {Speaker::to(4)};
  machine_.next.finished = true;
  EXPECT_FALSE(run_once(machine_, *transport_));
  EXPECT_TRUE(machine_.downs.empty());
}

}  // namespace
}  // namespace potluck
