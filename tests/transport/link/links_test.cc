// A link that is up, told in made-up time: what is counted, heard and missed until it is down.
#include "tests/transport/link/links_party.h"

namespace potluck {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST_F(LinksTest, HeartbeatsTellEveryHalfSecondHowMuchWasTaken) {
  const auto end = dialed(kLower);
  end->taken = 5;
  pass(0.5);
  EXPECT_THAT(said(), IsEmpty());
  pass(0.8);
  EXPECT_THAT(said(), ElementsAre("1 < heartbeat 5", "1 < heartbeat 5"));
}

TEST_F(LinksTest, WhatWasTakenIsToldAtOnceWhenAsked) {
  const auto end = dialed(kLower);
  end->taken = 256;
  links_.tell_taken(now_, end);
  EXPECT_THAT(said(), ElementsAre("1 < heartbeat 256"));
}

TEST_F(LinksTest, APeerThatSaysNothingForTwoSecondsIsDown) {
  dialed(kLower);
  pass(1.9);
  EXPECT_THAT(said(), testing::Each("1 < heartbeat 0"));
  pass(0.2);
  EXPECT_THAT(said(), ElementsAre("1 < goodbye: silent for 2.0 s", "down 1: silent for 2.0 s",
                                  "hang up 1 when flushed"));
}

TEST_F(LinksTest, AnyMessageIsASignOfLife) {
  dialed(kLower);
  for (int i = 0; i < 5; ++i) {
    pass(1.5);
    arrives(1, i % 2 ? heartbeat_of(0) : numbered(1));
  }
  EXPECT_THAT(said(), testing::Not(testing::Contains(HasSubstr("down"))));
}

TEST_F(LinksTest, HalfAMessageThatIsArrivingIsASignOfLife) {
  dialed(kLower);
  record_.receiving = true;
  pass(10);
  EXPECT_THAT(said(), testing::Each("1 < heartbeat 0"));
  record_.receiving = false;
  pass(kTick);
  EXPECT_THAT(said(), testing::Contains("down 1: silent for 2.0 s"));
}

TEST_F(LinksTest, APauseOfOurOwnIsNotTheirSilence) {
  dialed(kLower);
  pass(0.1);
  now_ += from_seconds(3600);
  pass(1.9);
  EXPECT_THAT(said(), testing::Each("1 < heartbeat 0"));
  pass(0.3);
  EXPECT_THAT(said(), testing::Contains("down 1: silent for 2.0 s"));
}

TEST_F(LinksTest, AHeartbeatSaysHowMuchThePeerHasTaken) {
  const auto end = dialed(kLower);
  send(end, 1);
  send(end, 2);
  arrives(1, heartbeat_of(2));
  EXPECT_EQ(end->taken_by_peer, 2u);
}

TEST_F(LinksTest, AHeartbeatThatCountsTooMuchEndsTheLink) {
  const auto end = dialed(kLower);
  send(end, 1);
  said();
  arrives(1, heartbeat_of(2));
  const std::string why = "a heartbeat counts 2 messages taken of 1";
  EXPECT_THAT(said(),
              ElementsAre("1 < goodbye: " + why, "down 1: " + why, "hang up 1 when flushed"));
  EXPECT_EQ(end->taken_by_peer, 0u);
}

TEST_F(LinksTest, ASecondHelloEndsTheLink) {
  dialed(kLower);
  arrives(1, hello_of(kLower, "them again"));
  EXPECT_THAT(said(), testing::Contains(HasSubstr("down 1: a hello came out of turn")));
}

TEST_F(LinksTest, WhatCannotBeReadEndsTheLinkWithTheReason) {
  dialed(kLower);
  links_.broken(1, "gibberish");
  EXPECT_THAT(said(),
              ElementsAre("1 < goodbye: gibberish", "down 1: gibberish", "hang up 1 when flushed"));
}

TEST_F(LinksTest, MoreThanTheQueueHoldsEndsTheLink) {
  const auto end = dialed(kLower);
  for (int i = 0; i < kLinkQueueMax; ++i) arrives(1, numbered(1));
  end->taken = 1;
  arrives(1, numbered(1));
  EXPECT_THAT(said(), testing::SizeIs(kLinkQueueMax + 1));
  arrives(1, numbered(1));
  EXPECT_THAT(said(), testing::Contains(HasSubstr("down 1: more than 1024 messages")));
}

Message heavy() {
  Message message = numbered(1);
  message.payload.bytes = 1000;  // nobody reads them
  return message;
}

TEST_F(LinksTest, MoreBytesThanALinkHoldsEndTheLink) {
  const auto end = dialed(kLower);
  end->waiting_bytes = kLinkBytesMax - 1000;
  arrives(1, heavy());
  EXPECT_THAT(said(), ElementsAre("message 1 from 1"));
  end->waiting_bytes = kLinkBytesMax - 999;
  arrives(1, heavy());
  EXPECT_THAT(said(), testing::Contains(HasSubstr("down 1: more than 537 MB came")));
}

TEST_F(LinksTest, MoreBytesThanAllLinksHoldEndTheLinkThatBringsThem) {
  dialed(kLower);
  record_.waiting = kAllLinksBytesMax - 999;
  arrives(1, heavy());
  EXPECT_THAT(said(), testing::Contains(HasSubstr("down 1: more than 1.07 GB came by all links")));
}

TEST(LinkEnds, CountTheBytesThatThePeerHasNotTaken) {
  LinkEnd end(kLower);
  count_sent(end, kLinkBytesMax - 10);
  count_sent(end, 10);
  EXPECT_THROW(count_sent(end, 1), Fault);
  end.taken_by_peer = 1;
  count_sent(end, kLinkBytesMax - 10);
  EXPECT_THROW(count_sent(end, 1), Fault);
  EXPECT_EQ(end.sent, 3u);
}

TEST_F(LinksTest, AGoodbyeIsAnsweredAndTheLinkIsDown) {
  const auto end = dialed(kLower);
  arrives(1, goodbye_of("closed by peer"));
  EXPECT_THAT(said(), ElementsAre("1 < goodbye: closed by peer", "down 1: closed by peer",
                                  "hang up 1 when flushed"));
  send(end, 1);
  arrives(1, numbered(2));  // late
  arrives(1, hello_of(kLower, "them"));
  links_.broken(1, "gibberish");
  EXPECT_THAT(said(), IsEmpty());
}

TEST_F(LinksTest, AGoodbyeWithAReasonIsReportedWithIt) {
  dialed(kLower);
  arrives(1, goodbye_of("no memory"));
  EXPECT_THAT(said(), testing::Contains("down 1: closed by peer: no memory"));
}

TEST_F(LinksTest, WhoDropsSaysGoodbyeAndWaitsForTheirs) {
  const auto end = dialed(kLower);
  send(end, 3);
  links_.drop(now_, end);
  EXPECT_THAT(said(), ElementsAre("1 < denoise 3", "1 < goodbye: closed by peer"));
  arrives(1, numbered(9));  // on its way when we dropped
  EXPECT_THAT(said(), IsEmpty());
  arrives(1, goodbye_of("closed by peer"));
  EXPECT_THAT(said(), ElementsAre("hang up 1 when flushed"));
}

TEST_F(LinksTest, AGoodbyeThatIsNotAnsweredIsWaitedForOneSecond) {
  const auto end = dialed(kLower);
  links_.drop(now_, end);
  said();
  pass(0.9);
  EXPECT_THAT(said(), IsEmpty());
  pass(0.3);
  EXPECT_THAT(said(), ElementsAre("hang up 1 when flushed"));
}

TEST_F(LinksTest, WhatADroppedDialHasToSayIsSaidWhenItIsUp) {
  const auto end = connect(kLower);
  send(end, 3);
  links_.drop(now_, end);
  said();
  arrives(1, hello_of(kLower, "them"));
  EXPECT_THAT(said(), ElementsAre("1 < denoise 3", "1 < goodbye: closed by peer"));
}

TEST_F(LinksTest, NothingIsReportedAfterDown) {
  dialed(kLower);
  arrives(1, numbered(1));
  links_.hung_up(1);
  arrives(1, numbered(2));  // sent before the end
  links_.ended(now_, 1);
  EXPECT_THAT(said(),
              ElementsAre("message 1 from 1", "message 2 from 1", "down 1: closed by peer"));
  arrives(1, numbered(3));
  links_.broken(1, "gibberish");
  links_.ended(now_, 1);
  links_.unreachable(1, "gone");
  pass(3);
  EXPECT_THAT(said(), IsEmpty());
}

TEST_F(LinksTest, NothingIsSentToWhoHasHungUp) {
  const auto end = dialed(kLower);
  links_.hung_up(1);
  send(end, 1);
  pass(1);
  EXPECT_THAT(said(), IsEmpty());
}

TEST_F(LinksTest, ALinkMadeAnewCountsAfresh) {
  const auto end = dialed(kLower);
  send(end, 1);
  links_.ended(now_, 1);
  said();
  links_.connect(now_, end, "x");  // its down was not read yet
  arrives(2, hello_of(kLower, "them"));
  EXPECT_NE(record_.last_end, end);
  EXPECT_EQ(record_.last_end->sent, 0u);
}

TEST_F(LinksTest, StoppingSaysGoodbyeOnEveryLinkAndWaitsForTheirs) {
  dialed(kLower);
  accepted(kHigher);
  EXPECT_FALSE(links_.stopped(now_));
  links_.stop(now_);
  EXPECT_THAT(said(), ElementsAre("1 < goodbye: closed by peer", "100 < goodbye: closed by peer"));
  arrives(1, goodbye_of("closed by peer"));
  EXPECT_FALSE(links_.stopped(now_));
  arrives(kCall, goodbye_of("closed by peer"));
  EXPECT_TRUE(links_.stopped(now_));
}

TEST_F(LinksTest, StoppingWaitsNoLongerThanOneSecondAndTakesNoCalls) {
  dialed(kLower);
  links_.stop(now_);
  links_.called(now_, kCall, {"there", ""});
  arrives(kCall, hello_of(kHigher, "late"));
  EXPECT_THAT(said(), testing::Contains("100 < goodbye: no calls are taken any more"));
  EXPECT_FALSE(links_.stopped(now_ + from_seconds(0.9)));
  EXPECT_TRUE(links_.stopped(now_ + from_seconds(1.0)));
}

}  // namespace
}  // namespace potluck
