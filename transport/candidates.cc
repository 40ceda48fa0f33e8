// The three columns of candidates, copied into one payload and out of it.
#include "transport/candidates.h"

#include <cstring>
#include <string>
#include <utility>

namespace potluck {
namespace {

constexpr size_t kColumnBytes = 4;
constexpr size_t kRowBytes = 3 * kColumnBytes;
static_assert(sizeof(int32_t) == kColumnBytes && sizeof(float) == kColumnBytes);

}  // namespace

Payload encode_candidates(const Candidates& c) {
  const size_t column = c.argmax.size() * kColumnBytes;
  std::vector<std::byte> bytes(c.argmax.size() * kRowBytes);
  std::memcpy(bytes.data(), c.argmax.data(), column);
  std::memcpy(bytes.data() + column, c.sample.data(), column);
  std::memcpy(bytes.data() + 2 * column, c.entropy.data(), column);
  return own_payload(std::move(bytes));
}

Candidates decode_candidates(const Payload& payload, int canvas) {
  const size_t rows = canvas;
  if (payload.bytes != rows * kRowBytes)
    throw Fault(FaultKind::refused, "the candidates have " + std::to_string(payload.bytes) +
                                        " bytes; those of a canvas of " + std::to_string(canvas) +
                                        " have " + std::to_string(rows * kRowBytes));
  Candidates c{std::vector<int32_t>(rows), std::vector<int32_t>(rows), std::vector<float>(rows)};
  const size_t column = rows * kColumnBytes;
  std::memcpy(c.argmax.data(), payload.data, column);
  std::memcpy(c.sample.data(), payload.data + column, column);
  std::memcpy(c.entropy.data(), payload.data + 2 * column, column);
  return c;
}

}  // namespace potluck
