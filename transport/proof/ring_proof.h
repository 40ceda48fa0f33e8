// Two neighbours of a ring show each other that they know its secret, without saying it. Who
// listens in between learns nothing that would help at another meeting: both bring a number of
// their own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "topology/plan/plan.h"

namespace potluck {

inline constexpr size_t kNonceBytes = 32;
inline constexpr size_t kProofBytes = 32;
inline constexpr size_t kRingSecretBytes = 32;

// Bytes that nobody can guess.
std::string random_bytes(size_t count);

struct Meeting {
  uint64_t incarnation = 0;  // of the ring's coordinator
  uint32_t epoch = 0;        // of its plan
  PeerId dialer = 0, listener = 0;
  std::string dialer_nonce, listener_nonce;  // kNonceBytes each, drawn for this meeting
};

// The words that `who`, the dialer or the listener, has to say: crypto_auth (HMAC-SHA512-256) under
// the secret over its id, the ring, both ids and both nonces.
std::string proof_of(const std::string& secret, PeerId who, const Meeting& meeting);
// In constant time.
bool is_proof(const std::string& proof, const std::string& secret, PeerId who,
              const Meeting& meeting);

}  // namespace potluck
