// Whatever somebody sends to a worker's port ends with one line and hurts nobody else.
#include <gmock/gmock.h>

#include <thread>

#include "tests/transport/zmq/zmq_party.h"
#include "tests/transport/zmq/zmtp_peer.h"
#include "transport/wire/wire.h"
#include "transport/zmq/strangers.h"

namespace potluck {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr PeerId kGood = stage_peer(0), kRaw = stage_peer(1);

std::string header_of(const Message& message) {
  const std::vector<std::byte> header = encode_header(message);
  return std::string(reinterpret_cast<const char*>(header.data()), header.size());
}

auto tells_both_protocols() {
  return AllOf(HasSubstr("speaks protocol " + std::to_string(kProtocolVersion)),
               HasSubstr("raw peer (potluck 9.9.9)"),
               HasSubstr("speaks " + std::to_string(kOtherProtocol)));
}

// A head with one honest stage.
class ZmqHostile : public testing::Test {
 protected:
  ZmqHostile() : head_(kHeadPeer, "head"), good_(kGood, "good stage") {
    endpoint_ = head_->listen("tcp://127.0.0.1:*");
    good_->connect(kHeadPeer, endpoint_);
    head_.expect_up(kGood);
    good_.expect_up(kHeadPeer);
  }

  void expect_good_link_works() {
    good_->send(number_message(kHeadPeer, ++number_));
    EXPECT_EQ(head_.expect_message(kGood).header.session, number_);
    head_->send(number_message(kGood, number_));
    EXPECT_EQ(good_.expect_message(kHeadPeer).header.session, number_);
  }

  // A raw peer with a link that is up, as kRaw.
  std::unique_ptr<ZmtpPeer> raw_link() {
    auto raw = std::make_unique<ZmtpPeer>(endpoint_);
    EXPECT_TRUE(raw->shake_hands("DEALER"));
    raw->send(hello_message(kRaw));
    EXPECT_EQ(raw->receive_message()->header.kind, MessageKind::hello);
    head_.expect_up(kRaw);
    return raw;
  }

  ZmqParty head_, good_;
  std::string endpoint_;
  uint64_t number_ = 0;
};

TEST_F(ZmqHostile, RawBytesAreDroppedWithOneLine) {
  const std::string http =
      "GET /index.html HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n" + std::string(200, 'a') + "\r\n\r\n";
  const std::string huge_frame = std::string("\x02\x0f", 2) + std::string(7, '\xff');
  const std::vector<std::pair<const char*, std::string>> cases = {
      {"nothing", ""},
      {"one byte", "\xff"},
      {"zeros", std::string(1000, '\0')},
      {"ones", std::string(1000, '\xff')},
      {"text", "hello, is this the head?\n"},
      {"HTTP", http},
      {"TLS", std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11)},
      {"half a greeting", zmtp_greeting().substr(0, 30)},
      {"a greeting alone", zmtp_greeting()},
      {"a greeting, then garbage", zmtp_greeting() + std::string(300, 'x')},
      {"a frame of 2^60 bytes", zmtp_greeting() + huge_frame},
  };
  size_t lines = 0;
  for (const auto& [name, bytes] : cases) {
    SCOPED_TRACE(name);
    { ZmtpPeer(endpoint_).write(bytes); }
    ASSERT_TRUE(head_.wait_for_log(++lines));
    expect_good_link_works();
    EXPECT_EQ(head_.log_lines().size(), lines) << head_.log_lines().back();
  }
}

TEST_F(ZmqHostile, WhatIsNoHelloIsTurnedAwayWithOneLineThatSaysWhy) {
  Message no_body = number_message(kHeadPeer, 1);
  no_body.header.kind = MessageKind::load;
  Message unknown_peer = hello_message(kRaw);
  unknown_peer.header.source = 1000;
  const std::string hello = header_of(hello_message(kRaw));
  const std::vector<std::pair<std::vector<std::string>, const char*>> cases = {
      {{""}, "a header of 0 bytes"},
      {{"garbage"}, "a header of 7 bytes"},
      {{"garbage!"}, "not Cap'n Proto"},
      {{std::string(64, '\xff')}, "not Cap'n Proto"},
      {{hello.substr(0, hello.size() / 16 * 8)}, "not Cap'n Proto"},
      {{hello, "payload"}, "7 bytes follow"},
      {{hello, "a", "b"}, "3 frames"},
      {std::vector<std::string>(1000, "x"), "1000 frames"},
      {{header_of(number_message(kHeadPeer, 1))}, "begins with a denoise"},
      {{header_of(goodbye_message("bye"))}, "begins with a goodbye"},
      {{header_of(no_body)}, "load has body"},
      {{header_of(unknown_peer)}, "source is peer 1000"},
      {{header_of(hello_message(kHeadPeer))}, "calls itself"},
      {{header_of(hello_message(kGood))}, "already"},
  };
  size_t lines = 0;
  for (const auto& [frames, why] : cases) {
    SCOPED_TRACE(why);
    ZmtpPeer raw(endpoint_);
    ASSERT_TRUE(raw.shake_hands("DEALER"));
    raw.send(frames);
    raw.send(frames);  // once more: no second line
    const std::optional<Message> answer = raw.receive_message();
    ASSERT_TRUE(answer && answer->fault);
    EXPECT_EQ(answer->header.kind, MessageKind::goodbye);
    EXPECT_THAT(answer->fault->what, HasSubstr(why));
    ASSERT_TRUE(head_.wait_for_log(++lines));
    expect_good_link_works();
    const std::vector<std::string> log = head_.log_lines();
    EXPECT_EQ(log.size(), lines);
    EXPECT_THAT(log.back(), AllOf(HasSubstr("127.0.0.1"), HasSubstr(why)));
    EXPECT_THAT(log.back(), testing::Not(HasSubstr("\n")));
  }
}

TEST_F(ZmqHostile, OtherSocketTypesAreTurnedAway) {
  for (const char* type : {"REQ", "SUB", "PUSH", "PAIR"}) {
    SCOPED_TRACE(type);
    const size_t lines = head_.log_lines().size();
    {
      ZmtpPeer raw(endpoint_);
      raw.shake_hands(type);
      raw.send(std::vector<std::string>{"", "x"});
    }
    EXPECT_TRUE(head_.wait_for_log(lines + 1));
    expect_good_link_works();
  }
}

TEST_F(ZmqHostile, ALinkThatBreaksARuleEndsWithTheReason) {
  Message lie = number_message(kHeadPeer, 1);
  lie.header.kind = MessageKind::heartbeat;
  lie.heartbeat = Heartbeat{77};
  Message damaged = number_message(kHeadPeer, 1);
  damaged.payload = own_payload(std::vector<std::byte>(1000));
  damaged.header.digest = 0xBAD;
  Message nowhere = number_message(kHeadPeer, 1);
  nowhere.header.rows = -1;
  const std::vector<std::pair<Message, const char*>> cases = {
      {hello_message(kRaw), "a hello came out of turn"},
      {lie, "77 messages taken of 0"},
      {damaged, "has digest"},
      {nowhere, "rows is -1"},
  };
  for (const auto& [message, why] : cases) {
    SCOPED_TRACE(why);
    const auto raw = raw_link();
    raw->send(message);
    EXPECT_THAT(head_.expect_down(kRaw), HasSubstr(why));
    const std::optional<Message> answer = raw->receive_message();
    ASSERT_TRUE(answer && answer->fault);
    EXPECT_THAT(answer->fault->what, HasSubstr(why));
    raw->send(number_message(kHeadPeer, 2));  // to a closed link
    expect_good_link_works();
  }
}

TEST_F(ZmqHostile, GarbageOnALinkEndsThatLinkAlone) {
  for (const std::vector<std::string>& frames :
       {std::vector<std::string>{"garbage!"}, {"a", "b", "c"}, {std::string(64, '\xff')}}) {
    const auto raw = raw_link();
    raw->send(frames);
    EXPECT_THAT(head_.expect_down(kRaw), HasSubstr("cannot be read"));
    expect_good_link_works();
  }
}

TEST_F(ZmqHostile, AHelloAndAHangUpAtOnceIsUpAndDown) {
  for (int round = 0; round < 10; ++round) {
    {
      ZmtpPeer raw(endpoint_);
      ASSERT_TRUE(raw.shake_hands("DEALER"));
      raw.send(hello_message(kRaw));
    }
    head_.expect_up(kRaw);
    EXPECT_EQ(head_.expect_down(kRaw), "closed by peer");
    expect_good_link_works();
  }
  EXPECT_TRUE(head_.log_lines().empty());
}

TEST_F(ZmqHostile, HalfAFrameThenAHangUpIsADown) {
  auto raw = raw_link();
  const std::string frame = zmtp_frame(header_of(number_message(kHeadPeer, 1)));
  raw->write(frame.substr(0, frame.size() / 2));
  raw.reset();
  EXPECT_EQ(head_.expect_down(kRaw), "closed by peer");
  expect_good_link_works();
}

TEST_F(ZmqHostile, AFloodThatNobodyTakesEndsTheLink) {
  const auto raw = raw_link();
  for (int i = 0; i <= kLinkQueueMax; ++i)
    raw->send(number_message(kHeadPeer, static_cast<uint64_t>(i)));
  const std::optional<Message> answer = raw->receive_message();
  ASSERT_TRUE(answer && answer->fault);
  EXPECT_THAT(answer->fault->what, HasSubstr("1024 messages"));
  for (int i = 0; i < kLinkQueueMax; ++i) head_.expect_message(kRaw);
  EXPECT_THAT(head_.expect_down(kRaw), HasSubstr("1024 messages"));
  expect_good_link_works();
}

TEST_F(ZmqHostile, WhoIsTurnedAwayIsHungUpOn) {
  ZmtpPeer raw(endpoint_);
  ASSERT_TRUE(raw.shake_hands("DEALER"));
  raw.send(number_message(kHeadPeer, 1));
  EXPECT_EQ(raw.receive_message()->header.kind, MessageKind::goodbye);
  EXPECT_FALSE(raw.receive());
  expect_good_link_works();
}

TEST_F(ZmqHostile, AMessageThatNeverEndsBeforeAHelloIsCutOff) {
  ZmtpPeer raw(endpoint_);
  ASSERT_TRUE(raw.shake_hands("DEALER"));
  std::string frames;
  for (int i = 0; i < 100000; ++i) frames += zmtp_frame("", true);
  raw.write(frames);
  EXPECT_FALSE(raw.receive());
  EXPECT_TRUE(head_.wait_for_log(1));
  expect_good_link_works();
}

TEST_F(ZmqHostile, ACrowdThatSaysNothingShutsNobodyOut) {
  std::vector<std::unique_ptr<ZmtpPeer>> crowd;
  for (int i = 0; i < 300; ++i) crowd.push_back(std::make_unique<ZmtpPeer>(endpoint_));
  ZmqParty late(kRaw, "late");
  late->connect(kHeadPeer, endpoint_);
  late.expect_up(kHeadPeer);
  head_.expect_up(kRaw);
  for (size_t i = 0; i < 300 - 2 * kStrangersMax; ++i)
    while (crowd[i]->receive()) {  // the greeting, and then the end
    }
  expect_good_link_works();
}

TEST_F(ZmqHostile, ADialerOfAnotherVersionIsRefusedByName) {
  ZmtpPeer raw(endpoint_);
  ASSERT_TRUE(raw.shake_hands("DEALER"));
  raw.send(hello_message(kRaw, kOtherProtocol));
  const auto why = AllOf(tells_both_protocols(), HasSubstr("install the same version"));
  EXPECT_THAT(raw.receive_message()->fault->what, why);
  ASSERT_TRUE(head_.wait_for_log(1));
  EXPECT_THAT(head_.log_lines()[0], why);
  expect_good_link_works();
}

TEST(ZmqVersions, AListenerOfAnotherVersionIsRefusedByName) {
  for (const Message& answer :
       {goodbye_message("no", kOtherProtocol), hello_message(kHeadPeer, kOtherProtocol)}) {
    TcpListener listener;
    ZmqParty stage(kGood, "stage 0");
    stage->connect(kHeadPeer, listener.endpoint());
    ZmtpPeer raw(listener.accept());
    ASSERT_TRUE(raw.shake_hands("ROUTER"));
    ASSERT_EQ(raw.receive_message()->header.kind, MessageKind::hello);
    raw.send(answer);
    EXPECT_THAT(stage.expect_down(kHeadPeer), tells_both_protocols());
    stage.expect_silence();
  }
}

TEST(ZmqVersions, ARefusalReachesTheDialerWithItsReason) {
  TcpListener listener;
  ZmqParty stage(kGood, "stage 0");
  stage->connect(kHeadPeer, listener.endpoint());
  ZmtpPeer raw(listener.accept());
  ASSERT_TRUE(raw.shake_hands("ROUTER"));
  raw.send(goodbye_message("not today"));
  EXPECT_EQ(stage.expect_down(kHeadPeer), "refused by peer: not today");
}

}  // namespace
}  // namespace potluck
