// The guest book says which machines a cluster lets in: tokens that admit some more, and the keys
// of those that were admitted. A key that was shut out stays out, whatever it brings.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/membership/private_file.h"

namespace potluck {

// Times are seconds since 1970.
struct TokenRecord {
  std::string hash;  // of its secret (transport/proof/join_token.h); the secret is kept nowhere
  int64_t created = 0, expires = 0;
  int hosts_max = 0;               // machines that it may admit; 0: any number
  std::vector<std::string> hosts;  // the keys of those that it has admitted
  bool revoked = false;
};

struct Guest {
  std::string key, name;  // the name is what the machine said, and may be anything
  int64_t since = 0;
  bool revoked = false;
};

struct GuestBook {
  std::vector<TokenRecord> tokens;
  std::vector<Guest> guests;
};

// A book has no more of either; the oldest tokens that are over go first.
inline constexpr size_t kTokensMax = 1000, kGuestsMax = 10'000;

// Why a token admits nobody any more, in words; none: it does.
std::optional<std::string> why_over(const TokenRecord& token, int64_t now);

void add_token(GuestBook& book, TokenRecord token, int64_t now);
// Writes the guest in by a token's secret; one that it has admitted before may come again. Throws
// Fault{refused} that says why not.
void admit_by_token(GuestBook& book, const std::string& secret, const Guest& guest, int64_t now);
// Writes the guest in because a person said yes. Throws Fault{refused} for a key that is shut out.
void admit(GuestBook& book, const Guest& guest);
bool is_admitted(const GuestBook& book, const std::string& key);
// Throws Fault{refused} for a key that is shut out.
void check_not_revoked(const GuestBook& book, const std::string& key);

// Ends the token whose id this is, or shuts out the guests of that name or key for ever, and
// returns their keys. Throws Fault{input} if there is neither.
std::vector<std::string> revoke(GuestBook& book, const std::string& what);

std::string text_of(const GuestBook& book);                                 // JSON
GuestBook guest_book_of(const std::string& text, const std::string& path);  // throws Fault{input}

// Where it lies: in the state folder of whoever runs the coordinator.
PrivateFile guest_book_file(const std::string& state_folder);

}  // namespace potluck
