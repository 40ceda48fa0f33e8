// Computes SHA-256 and git's SHA-1 by libcrypto.
#include "topology/hub/checksum.h"

#include <openssl/evp.h>

#include "topology/base/check.h"

namespace potluck {

struct Checksum::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

Checksum::Checksum(ChecksumKind kind, uint64_t bytes) : state_(std::make_unique<State>()) {
  const EVP_MD* algorithm = kind == ChecksumKind::sha256 ? EVP_sha256() : EVP_sha1();
  CHECK(EVP_DigestInit_ex(state_->context, algorithm, nullptr) == 1);
  if (kind == ChecksumKind::sha256) return;
  std::string header = "blob " + std::to_string(bytes);
  header.push_back('\0');
  add(std::as_bytes(std::span(header)));
}

Checksum::~Checksum() = default;

void Checksum::add(std::span<const std::byte> bytes) {
  CHECK(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) == 1);
}

std::string Checksum::text() {
  static constexpr char kDigits[] = "0123456789abcdef";
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int bytes = 0;
  CHECK(EVP_DigestFinal_ex(state_->context, digest, &bytes) == 1);
  std::string text;
  for (unsigned int i = 0; i < bytes; ++i) {
    text += kDigits[digest[i] / 16];
    text += kDigits[digest[i] % 16];
  }
  return text;
}

}  // namespace potluck
