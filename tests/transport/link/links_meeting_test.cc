// How a link comes about, told in made-up time: who dials, who calls, and who is turned away.
#include "tests/transport/link/links_party.h"

namespace potluck {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST_F(LinksTest, ADialerSaysHelloFirstAndIsUpWithTheirs) {
  connect(kLower, "there");
  EXPECT_THAT(said(), ElementsAre("dial 1 at there", "1 < hello"));
  arrives(1, hello_of(kLower, "them"));
  EXPECT_THAT(said(), ElementsAre("up 1: them"));
}

TEST_F(LinksTest, AListenerAnswersAHelloWithItsOwn) {
  links_.called(now_, kCall, {"there", ""});
  EXPECT_THAT(said(), IsEmpty());
  arrives(kCall, hello_of(kLower, "them"));
  EXPECT_THAT(said(), ElementsAre("100 < hello", "up 1: them"));
}

TEST_F(LinksTest, WhatWasSentBeforeTheHelloFollowsItInOrder) {
  const auto end = connect(kLower);
  send(end, 7);
  send(end, 8);
  EXPECT_THAT(said(), ElementsAre("dial 1 at x", "1 < hello"));
  arrives(1, hello_of(kLower, "them"));
  send(end, 9);
  EXPECT_THAT(said(), ElementsAre("up 1: them", "1 < denoise 7", "1 < denoise 8", "1 < denoise 9"));
}

TEST_F(LinksTest, ADialerKnowsThePeerByTheIdThatItGave) {
  dialed(kHigher);
  arrives(1, numbered(3));  // whatever its source says
  EXPECT_THAT(said(), ElementsAre("message 3 from 7"));
}

TEST_F(LinksTest, AnythingBeforeTheHelloEndsTheDial) {
  connect(kLower);
  links_.connected(1);
  said();
  arrives(1, numbered(1));
  EXPECT_THAT(said(), testing::Contains(HasSubstr("down 1: a denoise came out of turn")));
}

TEST_F(LinksTest, TheFirstClaimToAPeerWins) {
  accepted(kLower);
  links_.called(now_, 101, {"elsewhere", ""});
  arrives(101, hello_of(kLower, "thief"));
  const std::string why = "thief says it is peer 1, but there is a link with that peer already";
  EXPECT_THAT(said(), ElementsAre("log: potluck: turned away a connection from elsewhere: " + why,
                                  "101 < goodbye: " + why, "hang up 101 when flushed"));
  arrives(kCall, numbered(4));  // the holder's link is as it was
  EXPECT_THAT(said(), ElementsAre("message 4 from 1"));
}

TEST_F(LinksTest, ASecondCoordinatorIsToldSinceWhenThePlaceIsHeld) {
  accepted(kCoordinatorPeer);
  record_.receiving = true;
  pass(42);
  said();
  links_.called(now_, 101, {"elsewhere", ""});
  arrives(101, hello_of(kCoordinatorPeer, "c"));
  EXPECT_THAT(said(), testing::Contains(
                          HasSubstr("goodbye: it has worked for another coordinator for 42 s")));
}

TEST_F(LinksTest, WhoMayNotCallIsTurnedAwayAndChangesNothing) {
  take_calls_from({kCoordinatorPeer, kLower});
  const auto end = connect(kHigher);
  accepted(kCoordinatorPeer);
  said();
  const std::pair<Message, const char*> claims[] = {
      {hello_of(kHigher, "evil", kRing), "evil says it is peer 7, from which no call is taken"},
      {hello_of(200, "evil", kRing), "peer 200, from which no call is taken"},
      {hello_of(kLower, "evil"), "peer 1, but of another ring"},
      {hello_of(kLower, "evil", {7, 2}), "peer 1, but of another ring"},
      {hello_of(kLower, "evil", {8, 3}), "peer 1, but of another ring"},
  };
  ConnectionId call = 200;
  for (const auto& [hello, why] : claims) {
    links_.called(now_, ++call, {"there", ""});
    arrives(call, hello);
    EXPECT_THAT(said(), ElementsAre(HasSubstr(why), HasSubstr(why),
                                    "hang up " + std::to_string(call) + " when flushed"));
    const Message& told = record_.last_sent;
    EXPECT_EQ(ring_of(told.header), RingId{});
    EXPECT_EQ(told.header.source, kUnassignedPeer);
    EXPECT_THAT(told.fault->where, testing::Not(HasSubstr("me")));
  }
  arrives(1, hello_of(kHigher, "them"));  // our dial goes on
  links_.called(now_, 300, {"there", ""});
  arrives(300, hello_of(kLower, "them", kRing));
  EXPECT_THAT(said(), ElementsAre("up 7: them", "300 < hello", "up 1: them"));
}

TEST_F(LinksTest, ADialersHelloNamesItsRingAndAnAnswerNone) {
  take_calls_from({kLower});
  connect(kHigher);
  EXPECT_EQ(ring_of(record_.last_sent.header), kRing);
  links_.called(now_, kCall, {"there", ""});
  arrives(kCall, hello_of(kLower, "them", kRing));
  EXPECT_EQ(record_.last_sent.header.kind, MessageKind::hello);
  EXPECT_EQ(ring_of(record_.last_sent.header), RingId{});
}

TEST_F(LinksTest, LinksOfCallersThatMayCallNoMoreEnd) {
  accepted(kCoordinatorPeer);
  accepted(kLower, 101);
  dialed(kHigher);
  take_calls_from({kCoordinatorPeer, kLower});
  EXPECT_THAT(said(), ElementsAre("down 1: them says it is peer 1, but of another ring",
                                  "101 < goodbye: closed by peer"));
  arrives(101, numbered(1));
  EXPECT_THAT(said(), IsEmpty());
  arrives(101, goodbye_of("closed by peer"));
  links_.called(now_, 102, {"there", ""});
  arrives(102, hello_of(kLower, "them", kRing));
  EXPECT_THAT(said(), ElementsAre("hang up 101 when flushed", "102 < hello", "up 1: them"));
  take_calls_from({kCoordinatorPeer});
  EXPECT_THAT(said(), ElementsAre("down 1: them says it is peer 1, from which no call is taken",
                                  "102 < goodbye: closed by peer"));
}

TEST_F(LinksTest, AClaimIsFreeOnceItsHolderHasHungUp) {
  accepted(kLower);
  links_.hung_up(kCall);
  links_.called(now_, 101, {"there", ""});
  arrives(101, hello_of(kLower, "them again"));
  EXPECT_THAT(said(), ElementsAre("down 1: closed by peer", "hang up 100", "101 < hello",
                                  "up 1: them again"));
  arrives(kCall, numbered(1));  // late, of the first link
  links_.ended(now_, kCall);
  EXPECT_THAT(said(), IsEmpty());
}

TEST_F(LinksTest, NobodyElseMayBeMe) {
  links_.called(now_, kCall, {"there", ""});
  arrives(kCall, hello_of(kMe, "impostor"));
  EXPECT_THAT(said(),
              testing::Contains("100 < goodbye: impostor says it is peer 2, and calls itself"));
}

TEST_F(LinksTest, AStrangerWhoBeginsWithAnythingElseIsTurnedAway) {
  links_.called(now_, kCall, {"there", ""});
  arrives(kCall, goodbye_of("bye"));
  EXPECT_THAT(said(), testing::Contains(HasSubstr("it begins with a goodbye, not a hello")));
  arrives(kCall, hello_of(kLower, "them"));  // too late
  EXPECT_THAT(said(), IsEmpty());
}

TEST_F(LinksTest, AStrangerWhoCannotBeReadIsTurnedAwayOnce) {
  links_.called(now_, kCall, {"there", ""});
  links_.broken(kCall, "gibberish");
  EXPECT_THAT(said(), ElementsAre("log: potluck: turned away a connection from there: gibberish",
                                  "100 < goodbye: gibberish", "hang up 100 when flushed"));
  links_.broken(kCall, "gibberish");
  EXPECT_THAT(said(), IsEmpty());
}

TEST_F(LinksTest, AStrangerWhoLeavesWithoutAHelloIsALineInTheLog) {
  links_.called(now_, kCall, {"there", ""});
  links_.ended(now_, kCall);
  EXPECT_THAT(
      said(),
      ElementsAre("log: potluck: a connection from there ended without a hello in potluck's "
                  "protocol"));
}

TEST_F(LinksTest, OfTwoDialsTheOneOfTheLowerIdStandsAtTheHigher) {
  const auto end = connect(kLower);
  send(end, 7);
  links_.called(now_, kCall, {"there", ""});
  said();
  arrives(kCall, hello_of(kLower, "them"));
  EXPECT_THAT(said(), ElementsAre("hang up 1", "100 < hello", "up 1: them", "100 < denoise 7"));
}

TEST_F(LinksTest, OfTwoDialsTheOneOfTheLowerIdStandsAtTheLower) {
  connect(kHigher);
  links_.called(now_, kCall, {"there", ""});
  said();
  arrives(kCall, hello_of(kHigher, "them"));
  EXPECT_THAT(said(), ElementsAre("hang up 100"));
  arrives(1, hello_of(kHigher, "them"));
  EXPECT_THAT(said(), ElementsAre("up 7: them"));
}

TEST_F(LinksTest, ConnectingToAPeerThatHasCalledIsUpAgain) {
  accepted(kLower);
  const auto end = connect(kLower);
  EXPECT_THAT(said(), ElementsAre("up 1: them"));
  send(end, 5);
  EXPECT_THAT(said(), ElementsAre("100 < denoise 5"));
}

TEST_F(LinksTest, AGoodbyeInsteadOfAHelloIsARefusal) {
  connect(kLower);
  arrives(1, goodbye_of("not today"));
  EXPECT_THAT(said(), testing::Contains("down 1: refused by peer: not today"));
}

TEST_F(LinksTest, ANewDialWaitsForTheLinkThatLeaves) {
  const auto end = dialed(kLower);
  links_.drop(now_, end);
  said();
  connect(kLower, "again");
  pass(kTick);
  EXPECT_THAT(said(), IsEmpty());
  arrives(1, goodbye_of("closed by peer"));
  said();
  pass(kTick);
  EXPECT_THAT(said(), ElementsAre("dial 2 at again", "2 < hello"));
}

TEST_F(LinksTest, ADialIsTriedAgainUntilSomebodyIsThere) {
  connect(kLower);
  for (ConnectionId attempt = 1; attempt <= 3; ++attempt) {
    EXPECT_THAT(said(), testing::Contains("dial " + std::to_string(attempt) + " at x"));
    links_.ended(now_, attempt);
    pass(0.15);
  }
  arrives(4, hello_of(kLower, "them"));
  EXPECT_THAT(said(), ElementsAre("dial 4 at x", "4 < hello", "up 1: them"));
}

TEST_F(LinksTest, ADialThatReachesNobodySaysHowOftenItTried) {
  connect(kLower);
  links_.ended(now_, 1);
  pass(11);
  EXPECT_THAT(
      said(),
      testing::Contains("down 1: connection refused or no answer at x in 2 tries within 9.5 s; is "
                        "the worker started there?"));
}

TEST_F(LinksTest, ADialThatReachesNobodySaysWhatItsAddressesSaid) {
  connect(kLower);
  links_.failing(1, "10.0.0.4 did not answer; see");
  links_.failing(1, "10.0.0.4 refused the connection; see");
  links_.ended(now_, 1);
  pass(0.15);
  said();
  pass(11);  // the second try is still silent
  EXPECT_THAT(said(),
              testing::Contains(
                  "down 1: 10.0.0.4 refused the connection; see (2 tries of x within 9.5 s)"));
}

TEST_F(LinksTest, ADialThatIsTakenButNotAnsweredSaysSo) {
  connect(kLower);
  links_.connected(1);
  pass(11);
  EXPECT_THAT(said(), testing::Contains(HasSubstr("takes connections but said no hello")));
}

TEST_F(LinksTest, ADialThatCannotBeIsDownAtOnce) {
  connect(kLower);
  links_.unreachable(1, "no such host");
  EXPECT_THAT(said(), testing::Contains("down 1: no such host"));
}

}  // namespace
}  // namespace potluck
