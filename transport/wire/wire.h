// The wire turns a message's header and body into the first frame that protocol.capnp describes,
// and back. The payload is never inside: it travels raw, as the frame behind.
#pragma once

#include <cstddef>
#include <vector>

#include "transport/message.h"

namespace potluck {

// A header without hops or texts takes 152 bytes, a hop 40 more. payloadBytes is
// message.payload.bytes. Control characters in texts become spaces, and a fault's text is cut at
// kTextBytesMax. Throws Fault{input} naming the field and the limit if anything else passes one.
std::vector<std::byte> encode_header(const Message& message);

// header: the first frame, at any alignment; payload_bytes: the size of the frame behind it, 0 if
// there is none. Nothing is allocated for a length that passes its limit, every number is in range,
// and the body is the one that the kind asks for. Texts are single lines. The result's payload is
// empty. Throws Fault{refused} with one line that names the field and the value found; a protocol
// version other than ours is reported before anything else, with what the peer calls itself.
Message decode_header(const void* header, size_t header_bytes, size_t payload_bytes);

}  // namespace potluck
