// Keeps tokens and guests, and writes them as JSON.
#include "coordinator/membership/guest_book.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "topology/base/fault.h"
#include "topology/base/utf8.h"
#include "transport/proof/join_token.h"

namespace potluck {
namespace {

using Json = nlohmann::json;

constexpr int kBookVersion = 1;

[[noreturn]] void refuse(const std::string& why, const std::string& fix) {
  throw Fault(FaultKind::refused, why, Fix{fix});
}

template <typename Guests>
auto find_guest(Guests& guests, const std::string& key) {
  return std::find_if(guests.begin(), guests.end(),
                      [&](const Guest& guest) { return guest.key == key; });
}

void write_in(GuestBook& book, const Guest& guest) {
  const auto known = find_guest(book.guests, guest.key);
  if (known != book.guests.end()) {
    known->name = guest.name;
    return;
  }
  if (book.guests.size() >= kGuestsMax)
    refuse("this cluster knows as many machines as it can", "see potluck token list there");
  book.guests.push_back(guest);
}

}  // namespace

std::optional<std::string> why_over(const TokenRecord& token, int64_t now) {
  if (token.revoked) return "was revoked";
  if (now >= token.expires) return "has expired";
  if (token.hosts_max > 0 && token.hosts.size() >= static_cast<size_t>(token.hosts_max))
    return "has admitted all the machines that it may";
  return std::nullopt;
}

void add_token(GuestBook& book, TokenRecord token, int64_t now) {
  while (book.tokens.size() >= kTokensMax) {
    const auto over =
        std::find_if(book.tokens.begin(), book.tokens.end(),
                     [&](const TokenRecord& each) { return why_over(each, now).has_value(); });
    if (over == book.tokens.end())
      throw Fault(FaultKind::input, "there are " + std::to_string(kTokensMax) + " tokens",
                  Fix{"revoke one: potluck token list shows them"});
    book.tokens.erase(over);
  }
  book.tokens.push_back(std::move(token));
}

void admit_by_token(GuestBook& book, const std::string& secret, const Guest& guest, int64_t now) {
  check_not_revoked(book, guest.key);
  const std::string hash = token_hash(secret);
  const auto token = std::find_if(book.tokens.begin(), book.tokens.end(),
                                  [&](const TokenRecord& each) { return each.hash == hash; });
  const std::string another = "make another there: potluck token create";
  if (token == book.tokens.end()) refuse("this cluster does not know the token", another);
  const bool known =
      std::find(token->hosts.begin(), token->hosts.end(), guest.key) != token->hosts.end();
  if (const auto over = why_over(*token, now); over && !(known && !token->revoked))
    refuse("the token " + *over, another);
  write_in(book, guest);
  if (!known) token->hosts.push_back(guest.key);
}

void admit(GuestBook& book, const Guest& guest) {
  check_not_revoked(book, guest.key);
  write_in(book, guest);
}

bool is_admitted(const GuestBook& book, const std::string& key) {
  const auto guest = find_guest(book.guests, key);
  return guest != book.guests.end() && !guest->revoked;
}

void check_not_revoked(const GuestBook& book, const std::string& key) {
  const auto guest = find_guest(book.guests, key);
  if (guest != book.guests.end() && guest->revoked)
    refuse("this cluster has shut this machine out", "ask whoever runs it");
}

std::vector<std::string> revoke(GuestBook& book, const std::string& what) {
  std::vector<std::string> shut_out;
  for (TokenRecord& token : book.tokens)
    if (token_id(token.hash) == what) {
      token.revoked = true;
      return shut_out;
    }
  for (Guest& guest : book.guests)
    if (guest.name == what || guest.key == what) {
      guest.revoked = true;
      shut_out.push_back(guest.key);
    }
  if (shut_out.empty())
    throw Fault(FaultKind::input, "there is no token and no machine \"" + one_line(what) + "\"",
                Fix{"potluck token list shows both"});
  return shut_out;
}

std::string text_of(const GuestBook& book) {
  Json tokens = Json::array(), guests = Json::array();
  for (const TokenRecord& token : book.tokens)
    tokens.push_back({{"hash", token.hash},
                      {"created", token.created},
                      {"expires", token.expires},
                      {"hosts_max", token.hosts_max},
                      {"hosts", token.hosts},
                      {"revoked", token.revoked}});
  for (const Guest& guest : book.guests)
    guests.push_back({{"key", guest.key},
                      {"name", guest.name},
                      {"since", guest.since},
                      {"revoked", guest.revoked}});
  return Json{{"version", kBookVersion}, {"tokens", tokens}, {"guests", guests}}.dump(
             1, ' ', false, Json::error_handler_t::replace) +
         "\n";
}

GuestBook guest_book_of(const std::string& text, const std::string& path) {
  GuestBook book;
  try {
    const Json json = Json::parse(text);
    if (json.at("version") != kBookVersion)
      throw Fault(FaultKind::input, path + " was written by another version of potluck",
                  Fix{"use that one, or remove the file, which forgets all tokens and machines"});
    for (const Json& token : json.at("tokens"))
      book.tokens.push_back({token.at("hash"), token.at("created"), token.at("expires"),
                             token.at("hosts_max"), token.at("hosts"), token.at("revoked")});
    for (const Json& guest : json.at("guests"))
      book.guests.push_back(
          {guest.at("key"), guest.at("name"), guest.at("since"), guest.at("revoked")});
  } catch (const Json::exception&) {
    throw Fault(FaultKind::input, path + " is damaged",
                Fix{"restore it, or remove it, which forgets all tokens and machines"});
  }
  return book;
}

PrivateFile guest_book_file(const std::string& state_folder) {
  return {state_folder, "guests.json"};
}

}  // namespace potluck
