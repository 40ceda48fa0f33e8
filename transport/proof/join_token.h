// A join token: the words that somebody gives to a machine that is to join a cluster. It says where
// the coordinator is, by which key that can be told from an impostor, and a secret that lets the
// bearer in. The coordinator keeps a hash of the secret alone.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace potluck {

inline constexpr size_t kTokenSecretBytes = 16;
inline constexpr size_t kTokenAddressesMax = 8;
inline constexpr size_t kTokenTextMax = 1024;

struct JoinToken {
  std::string cluster_key;             // the public key of the coordinator's machine (key.h)
  std::vector<std::string> addresses;  // at which its control channel listens: "10.0.0.3:7117"
  std::string secret;                  // kTokenSecretBytes that nobody can guess
};

// One word of letters, digits, "-" and "_" that begins with "pl1_": base64url by libsodium, with a
// checksum that finds slips of whoever types it.
std::string token_text(const JoinToken& token);
// Blanks and line ends around it, and within, do not count. Throws Fault{input} for anything that
// is no whole token, without a word of the text in the message.
JoinToken parse_token(const std::string& text);

// The coordinator keeps this of a secret: 64 hexadecimal digits. The secret is random and long
// enough that a plain hash (BLAKE2b) cannot be turned round.
std::string token_hash(const std::string& secret);
// The name of a token for people: it says nothing about the secret.
std::string token_id(const std::string& hash);

}  // namespace potluck
