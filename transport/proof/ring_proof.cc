// Proofs by libsodium.
#include "transport/proof/ring_proof.h"

#include <sodium.h>

#include "topology/base/check.h"
#include "topology/base/fault.h"

namespace potluck {
namespace {

static_assert(kProofBytes == crypto_auth_BYTES && kRingSecretBytes == crypto_auth_KEYBYTES);

void start_sodium() {
  if (sodium_init() < 0) throw Fault(FaultKind::world, "libsodium finds no random numbers");
}

template <typename Number>
void add(std::string& text, Number number) {
  for (size_t i = 0; i < sizeof(number); ++i)
    text += static_cast<char>(static_cast<uint64_t>(number) >> (8 * i) & 0xFF);
}

// All parts have a fixed length, so no two meetings have one text.
std::string text_of(PeerId who, const Meeting& meeting) {
  CHECK(meeting.dialer_nonce.size() == kNonceBytes, meeting.dialer_nonce.size());
  CHECK(meeting.listener_nonce.size() == kNonceBytes, meeting.listener_nonce.size());
  std::string text = "potluck's ring proof";
  add(text, who);
  add(text, meeting.incarnation);
  add(text, meeting.epoch);
  add(text, meeting.dialer);
  add(text, meeting.listener);
  return text + meeting.dialer_nonce + meeting.listener_nonce;
}

const unsigned char* bytes(const std::string& text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

std::string random_bytes(size_t count) {
  start_sodium();
  std::string random(count, '\0');
  randombytes_buf(random.data(), random.size());
  return random;
}

std::string proof_of(const std::string& secret, PeerId who, const Meeting& meeting) {
  CHECK(secret.size() == kRingSecretBytes, secret.size());
  start_sodium();
  const std::string text = text_of(who, meeting);
  std::string proof(kProofBytes, '\0');
  crypto_auth(reinterpret_cast<unsigned char*>(proof.data()), bytes(text), text.size(),
              bytes(secret));
  return proof;
}

bool is_proof(const std::string& proof, const std::string& secret, PeerId who,
              const Meeting& meeting) {
  CHECK(secret.size() == kRingSecretBytes, secret.size());
  if (proof.size() != kProofBytes) return false;
  start_sodium();
  const std::string text = text_of(who, meeting);
  return crypto_auth_verify(bytes(proof), bytes(text), text.size(), bytes(secret)) == 0;
}

}  // namespace potluck
