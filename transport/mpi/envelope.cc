// An envelope is five numbers of eight bytes, the lowest byte first.
#include "transport/mpi/envelope.h"

#include <string>

#include "topology/base/fault.h"
#include "transport/message.h"

namespace potluck {
namespace {

constexpr uint64_t kMagic = 0x31'69'70'6d'74'6f'6c'70;  // "plotmpi1"
constexpr int kByteBits = 8;

void put(std::vector<std::byte>& bytes, uint64_t number) {
  for (size_t i = 0; i < sizeof(number); ++i) bytes.push_back(std::byte(number >> (kByteBits * i)));
}

uint64_t get(const std::vector<std::byte>& bytes, size_t index) {
  uint64_t number = 0;
  for (size_t i = sizeof(number); i-- > 0;)
    number = number << kByteBits | std::to_integer<uint64_t>(bytes[index * sizeof(number) + i]);
  return number;
}

[[noreturn]] void refuse(const std::string& what) {
  throw Fault(FaultKind::refused, "a message by MPI cannot be read: " + what);
}

}  // namespace

std::vector<std::byte> encode_envelope(const Envelope& envelope,
                                       const std::vector<std::byte>& header) {
  std::vector<std::byte> bytes;
  bytes.reserve(kEnvelopeBytes + header.size());
  put(bytes, kMagic);
  put(bytes, uint64_t{envelope.dialed_by_sender} << kByteBits | uint64_t(envelope.kind));
  put(bytes, envelope.dial);
  put(bytes, envelope.payload_bytes);
  put(bytes, uint64_t(envelope.payload_tag));
  bytes.insert(bytes.end(), header.begin(), header.end());
  return bytes;
}

Envelope decode_envelope(const std::vector<std::byte>& message) {
  if (message.size() < kEnvelopeBytes)
    refuse("it has " + std::to_string(message.size()) + " bytes, fewer than an envelope");
  if (get(message, 0) != kMagic)
    refuse("it is not of this version of potluck; start the same one on every machine");
  Envelope envelope;
  const uint64_t kind = get(message, 1) & 0xFF, dialed = get(message, 1) >> kByteBits;
  if (kind < uint64_t(EnvelopeKind::call) || kind > uint64_t(EnvelopeKind::present) || dialed > 1)
    refuse("its kind is " + std::to_string(kind) + " and its side " + std::to_string(dialed));
  envelope.kind = EnvelopeKind(kind);
  envelope.dialed_by_sender = dialed == 1;
  envelope.dial = get(message, 2);
  envelope.payload_bytes = get(message, 3);
  if (envelope.payload_bytes > kPayloadBytesMax)
    refuse("it announces a payload of " + std::to_string(envelope.payload_bytes) +
           " bytes, more than " + std::to_string(kPayloadBytesMax));
  const uint64_t tag = get(message, 4);
  if (tag > uint64_t{kPayloadTagMax} || (tag == 0) != (envelope.payload_bytes == 0))
    refuse("the tag of its payload is " + std::to_string(tag));
  envelope.payload_tag = int(tag);
  return envelope;
}

}  // namespace potluck
