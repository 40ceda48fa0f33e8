// Neighbours of a ring that has a secret, told in made-up time: what they say before each has
// proved that it knows it, and what becomes of those that do not.
#include "tests/transport/link/links_party.h"

namespace potluck {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const std::string kSecret(kRingSecretBytes, 's'), kOtherSecret(kRingSecretBytes, 't');
const std::string kNonce(kNonceBytes, 'n');

Message proof_message(const std::string& mac) {
  Message message;
  message.header.kind = MessageKind::proof;
  message.proof = Proof{mac};
  return message;
}

// We are stage 0, called by the head and by nobody else, and dial stage 5.
class ProofTest : public LinksTest {
 protected:
  ProofTest() { be_in_ring(kRing); }

  void be_in_ring(RingId ring) {
    Identity identity;
    identity.self = kMe;
    identity.incarnation = ring.incarnation;
    identity.epoch = ring.epoch;
    identity.hello.name = "me";
    identity.callers = {kCoordinatorPeer, kLower};
    identity.secret = kSecret;
    links_.set_identity(now_, identity);
    record_.take();
  }

  Message hello_with_nonce(PeerId self, const std::string& nonce = kNonce) {
    Message hello = hello_of(self, "");
    hello.hello->nonce = nonce;
    return hello;
  }

  // Says hello as the head; what the head would have to prove.
  Meeting calls(ConnectionId call, RingId ring = kRing, const char* from = "there") {
    links_.called(now_, call, {from, ""});
    arrives(call, hello_with_nonce(kLower));
    return {ring.incarnation, ring.epoch, kLower, kMe, kNonce, record_.last_sent.hello->nonce};
  }
  // Our dial of stage 5, as far as their hello.
  Meeting answers(const std::string& nonce = kNonce) {
    const std::string ours = record_.last_sent.hello->nonce;
    arrives(record_.last_dial, hello_with_nonce(kUnassignedPeer, nonce));
    return {kRing.incarnation, kRing.epoch, kMe, kHigher, ours, nonce};
  }
};

TEST_F(ProofTest, ACallerIsUpOnceItHasProvedWhoItIs) {
  const Meeting meeting = calls(kCall);
  EXPECT_THAT(said(), ElementsAre("100 < hello"));
  arrives(kCall, proof_message(proof_of(kSecret, kLower, meeting)));
  EXPECT_THAT(said(), ElementsAre("100 < proof", "up 1: "));
  EXPECT_TRUE(is_proof(record_.last_sent.proof->mac, kSecret, kMe, meeting));
  arrives(kCall, numbered(4));
  EXPECT_THAT(said(), ElementsAre("message 4 from 1"));
}

TEST_F(ProofTest, ADialerIsUpOnceTheListenerHasProvedWhoItIs) {
  const auto end = connect(kHigher);
  send(end, 7);
  const Meeting meeting = answers();
  EXPECT_THAT(said(), ElementsAre("dial 1 at x", "1 < hello", "1 < proof"));
  EXPECT_TRUE(is_proof(record_.last_sent.proof->mac, kSecret, kMe, meeting));
  arrives(1, proof_message(proof_of(kSecret, kHigher, meeting)));
  EXPECT_THAT(said(), ElementsAre("up 7: ", "1 < denoise 7"));
}

TEST_F(ProofTest, HellosTellNothingBeforeTheProof) {
  connect(kHigher);
  EXPECT_EQ(ring_of(record_.last_sent.header), RingId{});
  EXPECT_EQ(record_.last_sent.hello->name, "");
  calls(kCall);
  EXPECT_EQ(ring_of(record_.last_sent.header), RingId{});
  EXPECT_EQ(record_.last_sent.header.source, kUnassignedPeer);
  EXPECT_EQ(record_.last_sent.hello->name, "");
}

TEST_F(ProofTest, NoncesAreDrawnForEachMeeting) {
  const std::string first = calls(kCall).listener_nonce;
  EXPECT_NE(calls(101).listener_nonce, first);
  EXPECT_EQ(first.size(), kNonceBytes);
}

TEST_F(ProofTest, WhoProvesNothingIsTurnedAwayAndHoldsNobodysPlace) {
  const Meeting first = calls(kCall), second = calls(101), third = calls(102);
  said();
  const std::pair<ConnectionId, Message> lies[] = {
      {kCall, proof_message(proof_of(kOtherSecret, kLower, first))},
      {101, proof_message(proof_of(kSecret, kMe, second))},  // what we would say
      {102, numbered(1)},
  };
  for (const auto& [call, lie] : lies) {
    arrives(call, lie);
    EXPECT_THAT(said(), ElementsAre(HasSubstr("log: potluck: turned away"), HasSubstr("goodbye"),
                                    "hang up " + std::to_string(call) + " when flushed"));
    EXPECT_EQ(ring_of(record_.last_sent.header), RingId{});
  }
  arrives(200, hello_of(kLower, "x"));
  const Meeting honest = calls(103);
  arrives(103, proof_message(proof_of(kSecret, kLower, honest)));
  EXPECT_THAT(said(), ElementsAre("103 < hello", "103 < proof", "up 1: "));
}

TEST_F(ProofTest, AProofIsOfOneMeetingAlone) {
  const Meeting heard = calls(kCall);
  const Message proof = proof_message(proof_of(kSecret, kLower, heard));
  arrives(kCall, proof);
  links_.hung_up(kCall);
  calls(101);
  said();
  arrives(101, proof);
  EXPECT_THAT(said(), Contains(HasSubstr("101 < goodbye: it says it is peer 1, and did not")));
}

TEST_F(ProofTest, AProofIsOfOneRingAlone) {
  const Meeting earlier = calls(kCall, {kRing.incarnation, kRing.epoch - 1});
  arrives(kCall, proof_message(proof_of(kSecret, kLower, earlier)));
  EXPECT_THAT(said(), Contains(HasSubstr("and did not prove it")));
}

TEST_F(ProofTest, AProvedLinkEndsWithItsRing) {
  const Meeting meeting = calls(kCall);
  arrives(kCall, proof_message(proof_of(kSecret, kLower, meeting)));
  be_in_ring(kRing);  // again, as a worker says it
  EXPECT_THAT(said(), IsEmpty());
  arrives(kCall, numbered(1));
  EXPECT_THAT(said(), ElementsAre("message 1 from 1"));
  Identity next;
  next.self = kMe;
  next.incarnation = kRing.incarnation;
  next.epoch = kRing.epoch + 1;
  next.callers = {kCoordinatorPeer, kLower};
  next.secret = kSecret;
  links_.set_identity(now_, next);
  EXPECT_THAT(said(), Contains(HasSubstr("down 1: it says it is peer 1, but of another ring")));
}

TEST_F(ProofTest, ACallWithoutANonceIsRefusedAtOnce) {
  links_.called(now_, kCall, {"there", ""});
  arrives(kCall, hello_of(kLower, "evil", kRing));
  EXPECT_THAT(said(),
              Contains("100 < goodbye: evil says it is peer 1, and its hello has no nonce"));
}

TEST_F(ProofTest, WhoMayNotCallIsNotAskedForAProof) {
  links_.called(now_, kCall, {"there", ""});
  arrives(kCall, hello_with_nonce(kHigher));
  EXPECT_THAT(said(), Contains(HasSubstr("goodbye: it says it is peer 7, from which no call")));
}

TEST_F(ProofTest, ACoordinatorProvesNothing) {
  links_.called(now_, kCall, {"there", ""});
  arrives(kCall, hello_of(kCoordinatorPeer, "c"));
  EXPECT_THAT(said(), ElementsAre("100 < hello", "up 0: c"));
}

TEST_F(ProofTest, AListenerThatProvesNothingHearsNothing) {
  const struct {
    std::string nonce;
    Message then;
    const char* why;
  } cases[] = {
      {"", {}, "wants no proof"},
      {kNonce, proof_message(std::string(kProofBytes, 'x')), "did not prove"},
      {kNonce, hello_of(kHigher, "again"), "out of turn"},
      {kNonce, numbered(1), "out of turn"},
  };
  for (const auto& each : cases) {
    SCOPED_TRACE(each.why);
    const auto end = connect(kHigher);
    const ConnectionId dial = record_.last_dial;
    links_.connected(dial);
    send(end, 7);
    answers(each.nonce);
    if (!each.nonce.empty()) arrives(dial, each.then);
    const std::vector<std::string> lines = said();
    EXPECT_THAT(lines, Contains(HasSubstr(each.why)));
    EXPECT_THAT(lines, Not(Contains(HasSubstr("denoise 7"))));
    EXPECT_EQ(record_.last_sent.header.kind, MessageKind::goodbye);
    EXPECT_EQ(ring_of(record_.last_sent.header), RingId{});
    EXPECT_EQ(record_.last_sent.header.source, kUnassignedPeer);
  }
}

// Whoever holds the port may send back what it hears.
TEST_F(ProofTest, AnEchoIsNoProof) {
  connect(kHigher);
  const std::string ours = record_.last_sent.hello->nonce;
  links_.connected(1);
  answers(ours);
  const Message echo = record_.last_sent;
  ASSERT_EQ(echo.header.kind, MessageKind::proof);
  arrives(1, echo);
  EXPECT_THAT(said(), Contains(HasSubstr("down 7: whoever listens there did not prove")));
}

TEST_F(ProofTest, FewCallersAtATimeOweAProofAndTheOldestOfTheCrowdGoes) {
  const ConnectionId honest = 50;
  const Meeting meeting = calls(honest, kRing, "an honest place");
  ConnectionId call = kCall;
  for (size_t i = 1; i < kUnprovedMax; ++i) {
    calls(call++);
    now_ += from_seconds(0.001);
  }
  EXPECT_THAT(said(), Not(Contains(HasSubstr("turned away"))));
  for (const ConnectionId gone : {kCall, kCall + 1}) {
    calls(call++);
    EXPECT_THAT(said(),
                Contains(std::to_string(gone) + " < goodbye: others wait to prove who they are"));
  }
  arrives(honest, proof_message(proof_of(kSecret, kLower, meeting)));
  EXPECT_THAT(said(), Contains("up 1: "));
}

TEST_F(ProofTest, WhoOwesAProofForTooLongIsTurnedAway) {
  calls(kCall);
  pass(kProofSeconds - kTick);
  EXPECT_THAT(said(), Not(Contains(HasSubstr("turned away"))));
  pass(3 * kTick);
  EXPECT_THAT(said(), Contains("100 < goodbye: it proved nothing within 5 s"));
}

TEST_F(ProofTest, ADialTriedAgainMeetsAnew) {
  connect(kHigher);
  const std::string first = record_.last_sent.hello->nonce;
  answers();
  links_.ended(now_, 1);
  pass(0.2);
  EXPECT_THAT(said(), Contains("dial 2 at x"));
  EXPECT_NE(record_.last_sent.hello->nonce, first);
  const Meeting meeting = answers();
  arrives(2, proof_message(proof_of(kSecret, kHigher, meeting)));
  EXPECT_THAT(said(), Contains("up 7: "));
}

// Locked links: the key that a call came with is the peer's.

TEST_F(LinksTest, ALockedCallMustHaveTheKeyOfThePeerThatItSaysItIs) {
  Identity identity;
  identity.self = kMe;
  identity.callers = {kCoordinatorPeer, kLower};
  identity.keys[kCoordinatorPeer] = {"alice", "carol"};
  identity.keys[kLower] = {"bob"};
  links_.set_identity(now_, identity);
  const auto says = [&](PeerId peer, const char* key) {
    static ConnectionId call = kCall;
    links_.called(now_, ++call, {"there", key});
    arrives(call, hello_of(peer, "them"));
    return said();
  };
  for (const char* key : {"bob", "mallory", "none"})
    EXPECT_THAT(says(kCoordinatorPeer, key), Contains(HasSubstr("which has another key")));
  EXPECT_THAT(says(kLower, "alice"), Contains(HasSubstr("which has another key")));
  EXPECT_THAT(says(kCoordinatorPeer, "carol"), Contains("up 0: them"));
  EXPECT_THAT(says(kLower, "bob"), Contains("up 1: them"));
  identity.keys[kCoordinatorPeer] = {"alice"};  // carol's is taken back
  links_.set_identity(now_, identity);
  EXPECT_THAT(said(), Contains("down 0: them says it is peer 0, which has another key"));
}

}  // namespace
}  // namespace potluck
