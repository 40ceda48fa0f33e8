// Locked links over TCP: who gets in, who does not, and what others see of them.
#include <gmock/gmock.h>
#include <unistd.h>

#include <thread>

#include "tests/transport/zmq/zmq_party.h"
#include "tests/transport/zmq/zmtp_peer.h"
#include "topology/base/key.h"

namespace potluck {
namespace {

using testing::AnyOf;
using testing::HasSubstr;

constexpr PeerId kOurs = stage_peer(0), kOther = stage_peer(1);

// A head that two stages may call, each by a key of its own, and one of them has.
class ZmqLocked : public testing::Test {
 protected:
  ZmqLocked() {
    endpoint_ = head_->listen("tcp://127.0.0.1:*");
    good_->connect(kHeadPeer, address());
    head_.expect_up(kOurs);
    good_.expect_up(kHeadPeer);
  }

  Address address() const { return {endpoint_, head_keys_.public_key}; }

  void expect_good_link_works() {
    good_->send(number_message(kHeadPeer, ++number_));
    EXPECT_EQ(head_.expect_message(kOurs).header.session, number_);
    head_->send(number_message(kOurs, number_));
    EXPECT_EQ(good_.expect_message(kHeadPeer).header.session, number_);
  }

  const LockKeys head_keys_ = make_lock_keys(), good_keys_ = make_lock_keys(),
                 other_keys_ = make_lock_keys();
  ZmqParty head_{kHeadPeer,
                 "head",
                 head_keys_,
                 {{kOurs, {good_keys_.public_key}}, {kOther, {"0", other_keys_.public_key}}}};
  ZmqParty good_{kOurs, "good stage", good_keys_};
  std::string endpoint_;
  uint64_t number_ = 0;
};

TEST(LockKeys, HaveAFormThatNoShellTakesForAnythingElse) {
  const LockKeys keys = make_lock_keys(), others = make_lock_keys();
  EXPECT_TRUE(is_key(keys.public_key)) << keys.public_key;
  EXPECT_TRUE(is_key(keys.secret_key));
  EXPECT_NE(keys.secret_key, others.secret_key);
  EXPECT_EQ(lock_keys_of(keys.secret_key).public_key, keys.public_key);
  EXPECT_EQ(key_text(key_bytes(keys.public_key)), keys.public_key);
  EXPECT_FALSE(is_key(keys.public_key.substr(1)));
  EXPECT_FALSE(is_key(std::string(kKeyDigits, 'A')));
}

TEST_F(ZmqLocked, CarriesLargeMessagesBothWays) {
  std::vector<std::byte> bytes(5'000'000);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 31 >> 3);
  for (const bool up : {true, false}) {
    Message message = number_message(up ? kHeadPeer : kOurs, 1);
    message.payload = own_payload(bytes);
    (up ? good_ : head_)->send(std::move(message));
    const Payload got =
        (up ? head_.expect_message(kOurs) : good_.expect_message(kHeadPeer)).payload;
    EXPECT_EQ(std::vector<std::byte>(got.data, got.data + got.bytes), bytes);
  }
}

TEST_F(ZmqLocked, AnyOfAPeersKeysIsItsOwn) {
  ZmqParty other(kOther, "other stage", other_keys_);
  other->connect(kHeadPeer, address());
  other.expect_up(kHeadPeer);
  head_.expect_up(kOther);
}

TEST_F(ZmqLocked, AKeyThatMayNotCallIsLockedOut) {
  const LockKeys keys = make_lock_keys();
  ZmqParty stranger(kOther, "stranger", keys);
  stranger->connect(kHeadPeer, address());
  EXPECT_EQ(
      stranger.expect_down(kHeadPeer),
      "the worker at " + endpoint_ + " takes no calls by this machine's key " + keys.public_key);
  ASSERT_TRUE(head_.wait_for_log(1));
  EXPECT_THAT(head_.log_lines()[0],
              HasSubstr("locked out a connection from 127.0.0.1: its key " + keys.public_key));
  expect_good_link_works();
}

TEST_F(ZmqLocked, AKeyIsOfOnePeerAlone) {
  ZmqParty thief(kOurs, "thief", other_keys_);
  thief->connect(kHeadPeer, address());
  EXPECT_THAT(thief.expect_down(kHeadPeer), HasSubstr("says it is peer 2, which has another key"));
  expect_good_link_works();
}

TEST_F(ZmqLocked, AKeyThatIsTakenBackEndsItsLinkAndOpensNoOther) {
  head_.take_calls_by({{kOther, {other_keys_.public_key}}});
  EXPECT_THAT(head_.expect_down(kOurs), HasSubstr("which has another key"));
  good_.expect_down(kHeadPeer);
  good_->connect(kHeadPeer, address());
  EXPECT_THAT(good_.expect_down(kHeadPeer), HasSubstr("takes no calls by this machine's key"));
}

TEST_F(ZmqLocked, APlainStrangerGetsNoAnswer) {
  ZmtpPeer raw(endpoint_);
  EXPECT_FALSE(raw.shake_hands("DEALER"));
  EXPECT_FALSE(raw.receive());
  ZmqParty stage(kOther, "plain stage");
  stage->connect(kHeadPeer, endpoint_);
  EXPECT_THAT(stage.expect_down(kHeadPeer),
              AnyOf(HasSubstr("locks its links, and the plan names no key"),
                    HasSubstr("are its links not locked?")));
  expect_good_link_works();
}

TEST_F(ZmqLocked, GarbageInPlaceOfALockHurtsNobody) {
  for (const std::string& rubbish :
       {std::string(200, '\xff'), std::string("GET / HTTP/1.1\r\n\r\n"), zmtp_greeting()}) {
    ZmtpPeer raw(endpoint_);
    raw.write(rubbish + std::string(5000, '\0'));
    EXPECT_FALSE(raw.receive());
  }
  expect_good_link_works();
}

TEST_F(ZmqLocked, ADialerReachesNobodyWithAnotherKeyThanItExpects) {
  ZmqParty stage(kOther, "stage", other_keys_);
  stage->connect(kHeadPeer, {endpoint_, good_keys_.public_key});
  const std::string why = stage.expect_down(kHeadPeer);
  EXPECT_THAT(why, HasSubstr("the worker at " + endpoint_ + " has another key than the plan"));
  EXPECT_THAT(why, HasSubstr(good_keys_.public_key));
  expect_good_link_works();
}

// The bytes that a lock adds to each message do not count as if they waited to be read.
TEST_F(ZmqLocked, ManySmallMessagesAreNotTakenForOneThatNeverEnds) {
  head_.limit_unread(4096);
  for (int i = 0; i < 1000; ++i) expect_good_link_works();
}

TEST(ZmqLockedDial, SaysNothingToAListenerWithoutALock) {
  const LockKeys keys = make_lock_keys();
  ZmqParty plain(kHeadPeer, "plain head"), stage(kOurs, "stage", keys);
  stage->connect(kHeadPeer, {plain->listen("tcp://127.0.0.1:*"), keys.public_key});
  EXPECT_THAT(stage.expect_down(kHeadPeer), HasSubstr("does not lock its links"));
  plain.expect_silence();
}

TEST(ZmqLockedDial, NeedsAKeyOfItsOwnAndTheirs) {
  ZmqParty none(kOurs, "stage", ZmqOptions{}, {}), stage(kOurs, "stage", make_lock_keys());
  none->connect(kHeadPeer, {"tcp://127.0.0.1:1", make_lock_keys().public_key});
  EXPECT_THAT(none.expect_down(kHeadPeer), HasSubstr("this machine has no key"));
  stage->connect(kHeadPeer, "tcp://127.0.0.1:1");
  EXPECT_THAT(stage.expect_down(kHeadPeer), HasSubstr("there is no key for tcp://127.0.0.1:1"));
  stage->connect(kHeadPeer, {"tcp://127.0.0.1:1", "open sesame"});
  EXPECT_THAT(stage.expect_down(kHeadPeer), HasSubstr("is none"));
}

TEST(ZmqLockedListener, WithoutAKeyThatCanBeReadIsAFault) {
  ZmqOptions options;
  options.keys = []() -> LockKeys { throw Fault(FaultKind::input, "the key file is damaged"); };
  ZmqParty head(kHeadPeer, "head", options, {});
  EXPECT_THROW(head->listen("tcp://127.0.0.1:*"), Fault);
}

// Sockets of files are for whoever may open them.
TEST(ZmqLockedListener, LeavesSocketsOfThisMachineAlone) {
  const std::string path = testing::TempDir() + "potluck-" + std::to_string(getpid()) + "-locked";
  ZmqParty head(kHeadPeer, "head", make_lock_keys()), stage(kOurs, "stage", make_lock_keys());
  stage->connect(kHeadPeer, {head->listen("ipc://" + path), make_lock_keys().public_key});
  stage.expect_up(kHeadPeer);
}

}  // namespace
}  // namespace potluck
