// Envelope: what goes ahead of each message between two ranks. MPI has no connections, so it names
// the one that the message belongs to, by who dialed it and the dialer's number for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace potluck {

enum class EnvelopeKind : uint8_t {
  call = 1,      // a dial
  answer = 2,    // somebody listens where it was dialed
  frames = 3,    // a message: its header behind the envelope, its payload apart
  hang_up = 4,   // nothing more comes of this connection
  question = 5,  // of a roll call; belongs to no connection, as the next
  present = 6
};

struct Envelope {
  EnvelopeKind kind = EnvelopeKind::frames;
  bool dialed_by_sender = false;
  uint64_t dial = 0;  // the dialer's number for the connection
  uint64_t payload_bytes = 0;
  int payload_tag = 0;  // MPI's tag of the message that carries the payload
};

inline constexpr size_t kEnvelopeBytes = 40;
inline constexpr int kPayloadTagMax = 32767;  // every MPI allows so much

std::vector<std::byte> encode_envelope(const Envelope& envelope,
                                       const std::vector<std::byte>& header);
// message: an envelope and perhaps a header behind it. Throws Fault{refused} with one line that
// names the value found; a payload's size and tag are within their limits.
Envelope decode_envelope(const std::vector<std::byte>& message);

}  // namespace potluck
