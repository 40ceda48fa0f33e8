// The pair of keys of a machine, with which libzmq locks links (CURVE: Curve25519, XSalsa20,
// Poly1305; by libsodium). Whoever dials has to know the public key of the listener beforehand, and
// shows its own.
#pragma once

#include <string>

namespace potluck {

struct LockKeys {
  std::string public_key, secret_key;  // key.h has their form
};

// Throws Fault{world} where this machine's libzmq cannot lock links.
LockKeys make_lock_keys();
// The pair that a secret key belongs to. Throws as make_lock_keys().
LockKeys lock_keys_of(const std::string& secret_key);

// The kKeyBytes of a key (key.h), and back.
std::string key_bytes(const std::string& key);
std::string key_text(const std::string& bytes);

}  // namespace potluck
