// The envelope of a message by MPI: what is put comes out, and what cannot be is refused.
#include "transport/mpi/envelope.h"

#include <gmock/gmock.h>

#include "topology/base/fault.h"
#include "transport/message.h"

namespace potluck {
namespace {

TEST(Envelope, ComesOutAsItWasPut) {
  const Envelope sent{EnvelopeKind::call, true, 0x0123456789ABCDEF, 1441792, kPayloadTagMax};
  const std::vector<std::byte> header(5, std::byte{7});
  const std::vector<std::byte> bytes = encode_envelope(sent, header);
  ASSERT_EQ(bytes.size(), kEnvelopeBytes + header.size());
  const Envelope got = decode_envelope(bytes);
  EXPECT_EQ(got.kind, sent.kind);
  EXPECT_EQ(got.dialed_by_sender, sent.dialed_by_sender);
  EXPECT_EQ(got.dial, sent.dial);
  EXPECT_EQ(got.payload_bytes, sent.payload_bytes);
  EXPECT_EQ(got.payload_tag, sent.payload_tag);
}

TEST(Envelope, IsRefusedWithTheValueFound) {
  const auto bytes_of = [](uint64_t payload_bytes, int tag) {
    return encode_envelope({EnvelopeKind::frames, false, 1, payload_bytes, tag}, {});
  };
  std::vector<std::byte> short_one(kEnvelopeBytes - 1), other_version = bytes_of(0, 0),
                                                        other_kind = bytes_of(0, 0);
  other_version[7] = std::byte{'2'};
  other_kind[8] = std::byte{77};
  const std::vector<std::pair<std::vector<std::byte>, std::string>> cases = {
      {short_one, "39 bytes"},
      {other_version, "the same one on every machine"},
      {other_kind, "kind is 77"},
      {bytes_of(kPayloadBytesMax + 1, 1), "268435457"},
      {bytes_of(8, kPayloadTagMax + 1), "32768"},
      {bytes_of(8, 0), "the tag of its payload is 0"},  // the headers' own
      {bytes_of(0, 5), "the tag of its payload is 5"},
  };
  for (const auto& [bytes, why] : cases) {
    try {
      decode_envelope(bytes);
      ADD_FAILURE() << "not refused: " << why;
    } catch (const Fault& fault) {
      EXPECT_EQ(fault.kind(), FaultKind::refused);
      EXPECT_THAT(fault.text(), testing::HasSubstr(why));
    }
  }
}

}  // namespace
}  // namespace potluck
