// MPI's pipe promises more than the contract: it withstands ranks that send what cannot be read,
// and ranks that do not answer.
#include <gmock/gmock.h>

#include "tests/contract/transport_contract.h"
#include "tests/contract/transport_kinds.h"
#include "tests/transport/mpi/ranks.h"
#include "transport/mpi/envelope.h"

namespace potluck {
namespace {

constexpr PeerId kHead = kHeadPeer, kStage = stage_peer(0);
constexpr int kRaw = 2;  // a rank without a party
constexpr uint64_t kDial = 7;

using Mpi = TransportContract;

std::vector<std::string> wait_for_log() {
  const Time deadline = now() + from_seconds(20);
  std::vector<std::string> lines;
  while ((lines = Ranks::all().log_lines()).empty() && now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  return lines;
}

void call_and_say(const std::vector<std::byte>& said) {
  static uint64_t dial = kDial;
  Ranks::all().log_lines();
  Ranks::all().send_raw(kRaw, 0, 0, encode_envelope({EnvelopeKind::call, true, ++dial}, {}));
  Ranks::all().send_raw(kRaw, 0, 0, said);
}

TEST_P(Mpi, ARankThatSendsWhatCannotBeReadIsTurnedAway) {
  Pair pair = linked_pair();
  std::vector<std::byte> too_long = encode_envelope({EnvelopeKind::frames, true, kDial}, {});
  too_long.resize(kEnvelopeBytes + kHeaderBytesMax + 1);
  const std::vector<std::pair<std::vector<std::byte>, std::string>> cases = {
      {bytes(10), "fewer than an envelope"},
      {bytes(100), "this version of potluck"},
      {encode_envelope({EnvelopeKind::frames, true, kDial, kPayloadBytesMax + 1, 1}, {}),
       "announces a payload of 268435457 bytes"},
      {encode_envelope({EnvelopeKind::frames, true, kDial, 8, 0}, {}), "the tag of its payload"},
  };
  for (const auto& [said, why] : cases) {
    call_and_say(said);
    EXPECT_THAT(wait_for_log(), testing::Contains(testing::HasSubstr(why)));
  }
  pair.stage->send(message(kHead, 1));  // the others are served as before
  EXPECT_EQ(expect_message(*pair.head, kStage).header.session, 1u);
}

TEST_P(Mpi, RanksThatAnswerAreNotMissed) {
  Pair pair = linked_pair();
  const Time begin = now();
  EXPECT_TRUE(Ranks::all().job().missing().empty());
  EXPECT_LT(seconds(now() - begin), kRollCallSeconds);
  expect_silence(*pair.head);
}

TEST_P(Mpi, ARankThatDoesNotAnswerIsNamedAndDown) {
  Pair pair = linked_pair();
  Ranks::all().stop(1, true);
  EXPECT_EQ(Ranks::all().job().missing(), std::vector<int>{1});
  EXPECT_EQ(expect_down(*pair.head, kStage).reason, "rank 1 does not answer");
  Ranks::all().stop(1, false);
  expect_down(*pair.stage, kHead);
}

INSTANTIATE_TEST_SUITE_P(Every, Mpi, testing::ValuesIn(transport_kinds()),
                         [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace potluck
