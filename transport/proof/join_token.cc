// A token's bytes: version, key, secret, the addresses with a length before each, and a checksum
// over all of that.
#include "transport/proof/join_token.h"

#include <sodium.h>

#include <cctype>
#include <cstdint>

#include "topology/base/check.h"
#include "topology/base/fault.h"
#include "topology/base/key.h"
#include "transport/proof/hex.h"

namespace potluck {
namespace {

constexpr char kPrefix[] = "pl1_";
constexpr size_t kPrefixBytes = sizeof(kPrefix) - 1;
constexpr size_t kVersionDigit = 2;  // of the prefix
constexpr size_t kChecksumBytes = 4;
constexpr size_t kIdDigits = 8;
constexpr int kBase64 = sodium_base64_VARIANT_URLSAFE_NO_PADDING;

const unsigned char* bytes(const std::string& text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

unsigned char* bytes(std::string& text) {
  return reinterpret_cast<unsigned char*>(text.data());
}

std::string hash_of(const std::string& text, size_t size) {
  std::string hash(crypto_generichash_BYTES, '\0');
  CHECK(crypto_generichash(bytes(hash), hash.size(), bytes(text), text.size(), nullptr, 0) == 0);
  return hash.substr(0, size);
}

std::string bytes_of_key(const std::string& key) {
  CHECK(is_key(key), key.size());
  return bytes_of_hex(key).value();
}

[[noreturn]] void refuse(const std::string& why) {
  throw Fault(
      FaultKind::input, "the token " + why,
      Fix{"copy the whole word that potluck token create printed, or make a new one there"});
}

std::string without_blanks(const std::string& text) {
  std::string word;
  for (const unsigned char letter : text)
    if (!std::isspace(letter)) word += static_cast<char>(letter);
  return word;
}

// The bytes of a token whose checksum is right, without the checksum.
std::string checked_bytes(const std::string& word) {
  std::string raw(word.size(), '\0');
  size_t size = 0;
  const std::string text = word.substr(kPrefixBytes);
  if (sodium_base642bin(bytes(raw), raw.size(), text.data(), text.size(), nullptr, &size, nullptr,
                        kBase64) != 0)
    refuse("holds a letter that no token has, or was cut off");
  raw.resize(size);
  if (size < kKeyBytes + kTokenSecretBytes + 1 + kChecksumBytes) refuse("was cut off");
  const std::string body = raw.substr(0, size - kChecksumBytes);
  if (hash_of(kPrefix + body, kChecksumBytes) != raw.substr(body.size()))
    refuse("was mistyped or cut off: its checksum is wrong");
  return body;
}

void check_prefix(const std::string& word) {
  if (word.size() > kTokenTextMax) refuse("is longer than any token");
  if (word.size() > kPrefixBytes && word.compare(0, kVersionDigit, kPrefix, kVersionDigit) == 0 &&
      std::isdigit(static_cast<unsigned char>(word[kVersionDigit])) &&
      word[kVersionDigit + 1] == '_' && word[kVersionDigit] != kPrefix[kVersionDigit])
    throw Fault(FaultKind::input, "the token was made by another version of potluck",
                Fix{"install the same version on both machines"});
  if (word.compare(0, kPrefixBytes, kPrefix) != 0) refuse("does not begin with pl1_");
}

}  // namespace

std::string token_text(const JoinToken& token) {
  CHECK(token.secret.size() == kTokenSecretBytes, token.secret.size());
  CHECK(token.addresses.size() <= kTokenAddressesMax, token.addresses.size());
  std::string body = bytes_of_key(token.cluster_key) + token.secret;
  body += static_cast<char>(token.addresses.size());
  for (const std::string& address : token.addresses) {
    CHECK(address.size() <= UINT8_MAX, address);
    body += static_cast<char>(address.size());
    body += address;
  }
  body += hash_of(kPrefix + body, kChecksumBytes);
  std::string text(sodium_base64_ENCODED_LEN(body.size(), kBase64), '\0');
  sodium_bin2base64(text.data(), text.size(), bytes(body), body.size(), kBase64);
  text.pop_back();
  return kPrefix + text;
}

JoinToken parse_token(const std::string& text) {
  const std::string word = without_blanks(text);
  check_prefix(word);
  const std::string body = checked_bytes(word);
  JoinToken token;
  token.cluster_key = hex_of(body.substr(0, kKeyBytes));
  token.secret = body.substr(kKeyBytes, kTokenSecretBytes);
  size_t at = kKeyBytes + kTokenSecretBytes;
  const size_t count = static_cast<unsigned char>(body[at++]);
  for (size_t i = 0; i < count && at < body.size(); ++i) {
    const size_t size = static_cast<unsigned char>(body[at++]);
    token.addresses.push_back(body.substr(at, size));
    at += size;
  }
  if (at != body.size() || token.addresses.size() != count || count > kTokenAddressesMax)
    refuse("is no token of this version");
  return token;
}

std::string token_hash(const std::string& secret) {
  return hex_of(hash_of("potluck's join token" + secret, crypto_generichash_BYTES));
}

std::string token_id(const std::string& hash) {
  return hash.substr(0, kIdDigits);
}

}  // namespace potluck
