// A header frame from anywhere: the first four bytes are the length of the payload behind it. What
// is read is written and read again, and must come out the same.
#include <cstdint>
#include <cstring>

#include "topology/base/check.h"
#include "topology/base/fault.h"
#include "transport/wire/wire.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace potluck;
  uint32_t payload_bytes = 0;
  if (size < sizeof(payload_bytes)) return 0;
  std::memcpy(&payload_bytes, data, sizeof(payload_bytes));
  Message message;
  try {
    message =
        decode_header(data + sizeof(payload_bytes), size - sizeof(payload_bytes), payload_bytes);
  } catch (const Fault& fault) {
    CHECK(fault.kind() == FaultKind::refused);
    CHECK(fault.text().find('\n') == std::string::npos, fault.text());
    return 0;
  }
  message.payload.bytes = payload_bytes;
  const std::vector<std::byte> first = encode_header(message);
  Message again = decode_header(first.data(), first.size(), payload_bytes);
  again.payload.bytes = payload_bytes;
  CHECK(encode_header(again) == first);
  return 0;
}
