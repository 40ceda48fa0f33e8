// Keys by libzmq, which has them as text of its own (Z85): people get hexadecimal digits instead,
// which no shell and no YAML takes for anything else.
#include "transport/zmq/lock_keys.h"

#include <zmq.h>

#include <array>

#include "topology/base/check.h"
#include "topology/base/fault.h"
#include "topology/base/key.h"

namespace potluck {
namespace {

constexpr size_t kZ85Bytes = 41;  // with a zero at the end
constexpr char kDigits[] = "0123456789abcdef";
using Z85 = std::array<char, kZ85Bytes>;

void check_curve(bool works) {
  if (works) return;
  throw Fault(FaultKind::world, "the libzmq of this machine cannot lock links: it has no CURVE",
              Fix{"install one that was built with libsodium, as Debian's and Ubuntu's are"});
}

std::string text_of(const Z85& key) {
  std::string bytes(kKeyBytes, '\0');
  CHECK(zmq_z85_decode(reinterpret_cast<uint8_t*>(bytes.data()), key.data()) != nullptr);
  return key_text(bytes);
}

}  // namespace

LockKeys make_lock_keys() {
  Z85 public_key{}, secret_key{};
  check_curve(zmq_has("curve") == 1 &&
              zmq_curve_keypair(public_key.data(), secret_key.data()) == 0);
  return {text_of(public_key), text_of(secret_key)};
}

LockKeys lock_keys_of(const std::string& secret_key) {
  const std::string bytes = key_bytes(secret_key);
  Z85 public_key{}, secret{};
  zmq_z85_encode(secret.data(), reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  check_curve(zmq_has("curve") == 1 && zmq_curve_public(public_key.data(), secret.data()) == 0);
  return {text_of(public_key), secret_key};
}

std::string key_bytes(const std::string& key) {
  CHECK(is_key(key), key.size());
  const auto value = [](char digit) { return digit <= '9' ? digit - '0' : digit - 'a' + 10; };
  std::string bytes;
  for (size_t i = 0; i < key.size(); i += 2)
    bytes += static_cast<char>(value(key[i]) << 4 | value(key[i + 1]));
  return bytes;
}

std::string key_text(const std::string& bytes) {
  std::string text;
  for (const unsigned char byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 0xF];
  }
  return text;
}

}  // namespace potluck
