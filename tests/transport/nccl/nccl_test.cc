// Links by NCCL: what goes which way, what becomes of faults, and who is refused. Every test ends
// with no communicator, no memory of a card and no call that NCCL would not take.
#include "transport/nccl/nccl.h"

#include <gmock/gmock.h>

#include "tests/transport/nccl/nccl_bench.h"
#include "transport/inproc/inproc.h"

namespace potluck {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

constexpr PeerId kFrom = kHeadPeer, kTo = stage_peer(0);
constexpr double kPatienceSeconds = 20;

class Nccl : public testing::Test {
 protected:
  Nccl() { reset_stand_in(); }

  ~Nccl() override {
    from_.reset();
    to_.reset();
    EXPECT_EQ(stand_in_books().communicators, 0);
    EXPECT_EQ(from_card_.books->blocks + to_card_.books->blocks, 0u);
    EXPECT_EQ(from_card_.books->handles + to_card_.books->handles, 0u);
    const std::lock_guard lock(stand_in_books().mutex);
    EXPECT_THAT(stand_in_books().misuses, testing::IsEmpty());
  }

  std::unique_ptr<Transport> plain(PeerId self, const std::string& name) {
    auto transport = make_inproc_transport(hub_);
    Identity identity;
    identity.self = self;
    identity.hello.software = "potluck test";
    identity.hello.name = name;
    transport->set_identity(identity);
    return transport;
  }

  std::unique_ptr<Transport> wrapped(PeerId self, const std::string& name, const EmulatedCard& card,
                                     LogLines& log) {
    NcclOptions options;
    options.open_port = [card] { return card.port(); };
    options.make_seconds = make_seconds_;
    options.receive_seconds = receive_seconds_;
    options.log = [&log](const std::string& line) { log.add(line); };
    return make_nccl_transport(plain(self, name), std::move(options));
  }

  // Two parties that are up.
  void connect() {
    if (!from_) from_ = wrapped(kFrom, "head", from_card_, from_log_);
    if (!to_) to_ = wrapped(kTo, "stage 0", to_card_, to_log_);
    from_->connect(kTo, to_->listen("inproc://to"));
    EXPECT_EQ(next(*from_).kind, Event::Kind::up);
    EXPECT_EQ(next(*to_).kind, Event::Kind::up);
  }

  void wish() {
    Message wish;
    wish.header.kind = MessageKind::card_link;
    wish.header.destination = kTo;
    from_->send(std::move(wish));
  }

  // Drives both sides, which have nothing to say to their owners, until a line of `log` has `part`.
  void until_said(const LogLines& log, const std::string& part, size_t times = 1) {
    const Time deadline = now() + from_seconds(kPatienceSeconds);
    while (log.with(part).size() < times) {
      ASSERT_LT(now(), deadline) << part;
      for (Transport* each : {from_.get(), to_.get()})
        if (const std::optional<Event> event = each->wait(now() + from_seconds(0.001)))
          keep(*each, *event);
    }
  }

  void link() {
    connect();
    wish();
    until_said(from_log_, "go by NCCL 2.21.5 from now on");
  }

  // The next event of a side, with both driven.
  Event next(Transport& side) {
    const Time deadline = now() + from_seconds(kPatienceSeconds);
    std::deque<Event>& mine = kept_[&side];
    while (mine.empty() && now() < deadline)
      for (Transport* each : {from_.get(), to_.get()})
        if (each)
          if (std::optional<Event> event = each->wait(now() + from_seconds(0.001)))
            keep(*each, *event);
    EXPECT_FALSE(mine.empty()) << "no event came";
    if (mine.empty()) return {};
    Event event = std::move(mine.front());
    mine.pop_front();
    return event;
  }

  void send(int number, bool card = true, size_t bytes = 5000) {
    Message message;
    message.header.kind = MessageKind::denoise;
    message.header.destination = kTo;
    message.header.session = number;
    const std::vector<std::byte> values(bytes, std::byte(number));
    message.payload = card ? on_card(values) : copy_payload(values.data(), bytes);
    from_->send(std::move(message));
  }

  void expect(int number, size_t bytes = 5000) {
    const Event event = next(*to_);
    ASSERT_EQ(event.kind, Event::Kind::message) << event.reason;
    const Message& message = event.message;
    EXPECT_EQ(message.header.session, static_cast<uint64_t>(number));
    EXPECT_FALSE(message.card_link);
    ASSERT_EQ(message.payload.bytes, bytes);
    for (size_t i = 0; i < bytes; ++i) ASSERT_EQ(message.payload.data[i], std::byte(number)) << i;
  }

  double make_seconds_ = kPatienceSeconds, receive_seconds_ = kPatienceSeconds;
  const std::shared_ptr<InprocHub> hub_ = make_inproc_hub();
  EmulatedCard from_card_, to_card_;
  LogLines from_log_, to_log_;
  std::unique_ptr<Transport> from_, to_;

 private:
  void keep(Transport& side, const Event& event) { kept_[&side].push_back(event); }

  std::map<Transport*, std::deque<Event>> kept_;
};

TEST_F(Nccl, PayloadsOfCardsGoByItAndOthersBeside) {
  link();
  for (int i = 0; i < 6; ++i) send(i, i % 2 == 0);
  for (int i = 0; i < 6; ++i) expect(i);
  EXPECT_EQ(stand_in_books().done, 3);
  EXPECT_THAT(from_log_.with("go by"),
              ElementsAre("payloads to stage 0 go by NCCL 2.21.5 from now on"));
}

TEST_F(Nccl, UntilItIsMadePayloadsGoByTheTransportBelow) {
  connect();
  send(1);
  wish();
  send(2);
  expect(1);
  expect(2);
  EXPECT_EQ(stand_in_books().sends, 0);
}

TEST_F(Nccl, BothDirectionsOfALinkDoNotWaitForEachOther) {
  link();
  Message wish;
  wish.header.kind = MessageKind::card_link;
  wish.header.destination = kFrom;
  to_->send(std::move(wish));
  until_said(to_log_, "go by NCCL");
  for (int i = 0; i < 20; ++i) {
    send(i);
    Message back;
    back.header.kind = MessageKind::denoise;
    back.header.destination = kFrom;
    back.payload = on_card(std::vector<std::byte>(3000, std::byte(i)));
    to_->send(std::move(back));
  }
  for (int i = 0; i < 20; ++i) {
    expect(i);
    EXPECT_EQ(next(*from_).message.payload.data[2999], std::byte(i));
  }
  EXPECT_EQ(stand_in_books().done, 40);
}

// Each of these breaks the third payload in its own way.
class Faults : public Nccl, public testing::WithParamInterface<const char*> {
 protected:
  void plant() {
    StandInBooks& books = stand_in_books();
    const std::string fault = GetParam();
    if (fault == "Hangs") books.hanging_send = 3;
    if (fault == "Fails") books.failing_send = 3;
    if (fault == "Breaks") books.breaking_send = 3;
  }
};

TEST_P(Faults, TheTransportBelowTakesOverAndItIsSaidOnce) {
  receive_seconds_ = 0.2;
  plant();
  link();
  for (int i = 0; i < 6; ++i) send(i, i != 4);
  for (int i = 0; i < 6; ++i) expect(i);
  until_said(from_log_, "is given up");
  until_said(to_log_, "is given up");
  EXPECT_EQ(stand_in_books().done, 2);
  for (int i = 6; i < 9; ++i) send(i);
  for (int i = 6; i < 9; ++i) expect(i);
  EXPECT_EQ(stand_in_books().done, 2);
  EXPECT_THAT(from_log_.with("NCCL to stage 0 is given up"), SizeIs(1));
  EXPECT_THAT(to_log_.with("NCCL from head is given up"), SizeIs(1));
}

TEST_P(Faults, WhatASenderHasSentArrivesThoughItIsGone) {
  plant();
  link();
  for (int i = 0; i < 5; ++i) send(i);
  from_.reset();
  for (int i = 0; i < 5; ++i) expect(i);
  const Event down = next(*to_);
  EXPECT_EQ(down.kind, Event::Kind::down);
  EXPECT_EQ(down.reason, "closed by peer");
}

TEST_P(Faults, AReceiverThatIsGoneIsALostLink) {
  plant();
  link();
  for (int i = 0; i < 5; ++i) send(i);
  to_.reset();
  EXPECT_EQ(next(*from_).kind, Event::Kind::down);
  send(6);  // to nobody: no crash
}

TEST_P(Faults, NothingComesOfALinkThatItsReceiverDrops) {
  plant();
  link();
  for (int i = 0; i < 5; ++i) send(i);
  to_->wait(now());  // it takes the headers in, and mostly finds no payload yet
  to_->drop(kFrom);
  EXPECT_EQ(next(*from_).kind, Event::Kind::down);
  EXPECT_FALSE(to_->wait(now() + from_seconds(0.05)));
}

INSTANTIATE_TEST_SUITE_P(Of, Faults, testing::Values("Hangs", "Fails", "Breaks"),
                         [](const auto& each) { return each.param; });

TEST_F(Nccl, ACommunicatorThatCannotBeMadeLeavesTheTransportBelow) {
  stand_in_books().refuses_to_make = true;
  connect();
  wish();
  until_said(from_log_, "is given up");
  until_said(to_log_, "is given up");
  send(1);
  expect(1);
}

TEST_F(Nccl, APeerThatDoesNotAnswerIsSaidAndServedByTheTransportBelow) {
  make_seconds_ = 0.05;
  to_ = plain(kTo, "stage 0");
  connect();
  wish();
  const Event offer = next(*to_);
  EXPECT_EQ(offer.message.header.kind, MessageKind::card_link);
  until_said(from_log_, "NCCL to stage 0 is given up (no answer to the offer)");
  EXPECT_EQ(next(*to_).message.card_link.value().step, CardLink::Step::withdrawn);
  send(1);
  expect(1);
}

TEST_F(Nccl, OneCardTwiceIsRefusedOnBothSides) {
  to_card_ = from_card_;
  connect();
  wish();
  for (Transport* each : {from_.get(), to_.get()}) {
    const Event down = next(*each);
    EXPECT_EQ(down.kind, Event::Kind::down);
    EXPECT_THAT(down.reason,
                HasSubstr("NCCL links two cards, and both workers have cuda card slot"));
  }
}

TEST_F(Nccl, CardsOfTwoVendorsAreRefusedOnBothSides) {
  to_card_ = EmulatedCard(emulator::Vendor::hip);
  connect();
  wish();
  for (Transport* each : {from_.get(), to_.get()}) {
    const Event down = next(*each);
    EXPECT_EQ(down.kind, Event::Kind::down);
    EXPECT_THAT(down.reason, HasSubstr("NCCL links cards of one vendor, not cuda card slot"));
  }
}

TEST_F(Nccl, AMissingLibraryIsRefusedByWhoMissesIt) {
  nccl_places()["cuda"] = {"libnccl-that-is-not-there.so.2"};
  connect();
  wish();
  const Event down = next(*from_);
  EXPECT_EQ(down.kind, Event::Kind::down);
  EXPECT_THAT(down.reason, HasSubstr("libnccl.so.2 is not installed; install NCCL 2.14"));
  EXPECT_EQ(next(*to_).kind, Event::Kind::down);
}

TEST_F(Nccl, ALinkThatComesAgainBeginsWithoutIt) {
  link();
  send(1);
  expect(1);
  from_->drop(kTo);
  EXPECT_EQ(next(*to_).kind, Event::Kind::down);
  from_->connect(kTo, "inproc://to");
  EXPECT_EQ(next(*from_).kind, Event::Kind::up);
  EXPECT_EQ(next(*to_).kind, Event::Kind::up);
  send(2);
  expect(2);
  EXPECT_EQ(stand_in_books().done, 1);
  wish();
  until_said(from_log_, "go by NCCL", 2);
  send(3);
  expect(3);
  EXPECT_EQ(stand_in_books().done, 2);
}

// A card that has no room for a payload is no reason to lose it.
TEST_F(Nccl, WithoutRoomOnTheCardPayloadsComeByTheTransportBelow) {
  to_card_.books->bytes_total = 1000;
  link();
  for (int i = 0; i < 3; ++i) send(i);
  for (int i = 0; i < 3; ++i) expect(i);
  EXPECT_THAT(to_log_.with("is given up"), SizeIs(1));
}

// Whatever a peer says that no peer of ours would, ends its link.
TEST_F(Nccl, WordsThatMakeNoSenseEndTheLink) {
  using Step = CardLink::Step;
  struct Lie {
    MessageKind kind;
    Step step;
    const char* answer;
  };
  constexpr MessageKind kWords = MessageKind::card_link, kData = MessageKind::denoise;
  for (const Lie& told : {Lie{kWords, Step::accept, "which nobody has offered"},
                          {kWords, Step::taken, "which nobody has offered"},
                          {kWords, Step::stopped, "which nobody has offered"},
                          {kWords, Step::again, "which nobody has offered"},
                          {kWords, Step::withdrawn, "which nobody has offered"},
                          {kWords, Step::offer, "without its unique id"},
                          {kWords, Step::payload, "in a message of another kind"},
                          {kData, Step::payload, "which nobody has offered"},
                          {kData, Step::taken, "in a message of another kind"}}) {
    SCOPED_TRACE(static_cast<int>(told.step));
    from_ = plain(kFrom, "head");
    to_ = wrapped(kTo, "stage 0", to_card_, to_log_);
    connect();
    Message lie;
    lie.header.kind = told.kind;
    lie.header.destination = kTo;
    CardLink& words = lie.card_link.emplace();
    words.step = told.step;
    words.card = "cuda card slot 0";
    from_->send(std::move(lie));
    const Event down = next(*to_);
    EXPECT_EQ(down.kind, Event::Kind::down);
    EXPECT_THAT(down.reason, HasSubstr(told.answer));
    next(*from_);
    if (told.step == Step::offer) next(*from_);  // its refusal, and then the end
    from_.reset();
    to_.reset();
  }
}

}  // namespace
}  // namespace potluck
