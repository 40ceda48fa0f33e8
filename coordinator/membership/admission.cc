// Answers those that want in, and keeps what has to be kept in the guest book.
#include "coordinator/membership/admission.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "topology/base/fault.h"
#include "topology/base/key.h"
#include "topology/base/utf8.h"
#include "topology/base/version.h"
#include "topology/base/wall_clock.h"
#include "topology/model/json_text.h"
#include "transport/proof/hex.h"
#include "transport/proof/join_token.h"
#include "transport/proof/ring_proof.h"

namespace potluck {
namespace {

using Json = nlohmann::json;

constexpr char kApplicant[] = "what wants to join";

Json admitted() {
  return {{"admitted", true}};
}

// Two builds may differ in what they compute, so that a ring of both would not start.
void check_software(const std::string& software) {
  if (software == kSoftware) return;
  throw Fault(FaultKind::refused,
              "this cluster runs " + std::string(kSoftware) +
                  ", and the machine that wants to join " + one_line(software),
              Fix{"install the same version on both"});
}

std::string bytes_in(const JsonFields& fields, const char* name) {
  const auto bytes = bytes_of_hex(fields.text(name));
  if (!bytes) fields.refuse("\"" + std::string(name) + "\" holds no hexadecimal digits");
  return *bytes;
}

std::string name_in(const JsonFields& fields) {
  const std::string name = one_line(fields.text("name"));
  if (name.empty() || name.size() > kGuestNameMax) fields.refuse("its name is empty or too long");
  return name;
}

}  // namespace

GuestBook read_guest_book(const PrivateFile& file) {
  const auto text = file.read();
  return text ? guest_book_of(*text, file.path()) : GuestBook();
}

void change_guest_book(const PrivateFile& file, const std::function<void(GuestBook&)>& edit) {
  file.change([&](const std::optional<std::string>& text) {
    GuestBook book = text ? guest_book_of(*text, file.path()) : GuestBook();
    edit(book);
    return text_of(book);
  });
}

GuestBook Admission::book() const {
  try {
    known_ = read_guest_book(book_);
    is_damaged_ = false;
  } catch (const Fault& fault) {
    if (!std::exchange(is_damaged_, true))
      say_(std::string(fault.what()) + "; until then those stay that were let in before");
  }
  return known_;
}

bool Admission::is_admitted(const std::string& key) const {
  return potluck::is_admitted(book(), key);
}

Json Admission::ask(const std::string& key, const Json& body, Time now) {
  const JsonFields fields(body, kApplicant);
  if (!is_key(key)) throw Fault(FaultKind::refused, "a machine joins over a locked link alone");
  check_software(fields.text("software"));
  const Guest guest{key, name_in(fields), unix_seconds(), false};
  const GuestBook book = this->book();
  if (fields.has("secret")) {
    const std::string secret = bytes_in(fields, "secret");
    change_guest_book(
        book_, [&](GuestBook& changed) { admit_by_token(changed, secret, guest, guest.since); });
    say_("\"" + guest.name + "\" was let in by a token");
    return admitted();
  }
  if (!fields.has("words") && potluck::is_admitted(book, key)) return admitted();
  check_not_revoked(book, key);
  forget_late(now);
  if (visitors_.size() >= kWaitingMax && !visitors_.count(key))
    throw Fault(FaultKind::refused, "too many machines wait to be let in",
                Fix{"try again in some minutes, or use a token"});
  Visitor& visitor = visitors_[key] = {guest.name, "", {}, now, false};
  visitor.meeting = {own_key_, key, random_bytes(kWordNonceBytes), ""};
  return {{"commitment", hex_of(word_commitment(visitor.meeting))}};
}

Admission::Visitor& Admission::visitor(const std::string& key) {
  const auto found = visitors_.find(key);
  if (found == visitors_.end())
    throw Fault(FaultKind::refused, "nobody said yes in time", Fix{"join again"});
  return found->second;
}

// A second number would be a second guess.
Json Admission::number(const std::string& key, const Json& body, Time now) {
  forget_late(now);
  Visitor& guest = visitor(key);
  const std::string number = bytes_in(JsonFields(body, kApplicant), "number");
  if (!guest.words.empty() || number.size() != kWordNonceBytes) {
    visitors_.erase(key);
    throw Fault(FaultKind::refused, "that is no number for six words", Fix{"join again"});
  }
  guest.meeting.joiner_nonce = number;
  guest.words = six_words(guest.meeting);
  say_("\"" + guest.name + "\" wants to join and shows: " + guest.words +
       "; if its screen says the same, say yes: potluck admit");
  return {{"number", hex_of(guest.meeting.coordinator_nonce)}};
}

Json Admission::wait(const std::string& key, Time now) {
  forget_late(now);
  if (!visitors_.count(key) && is_admitted(key)) return admitted();
  if (visitor(key).refused) {
    visitors_.erase(key);
    throw Fault(FaultKind::refused, "the person at the coordinator said no");
  }
  return {{"waiting", true}};
}

void Admission::forget_late(Time now) {
  std::erase_if(visitors_,
                [&](const auto& each) { return seconds(now - each.second.since) > kYesSeconds; });
}

std::vector<Admission::Waiting> Admission::waiting(Time now) {
  forget_late(now);
  std::vector<Waiting> waiting;
  for (const auto& [key, guest] : visitors_)
    if (!guest.words.empty() && !guest.refused) waiting.push_back({key, guest.name, guest.words});
  return waiting;
}

void Admission::answer(const std::string& who, bool yes, Time now) {
  for (const Waiting& each : waiting(now)) {
    if (each.key != who) continue;
    if (!yes) {
      visitors_.at(each.key).refused = true;
      return;
    }
    change_guest_book(book_, [&](GuestBook& book) {
      admit(book, {each.key, each.name, unix_seconds(), false});
    });
    visitors_.erase(each.key);
    say_("\"" + each.name + "\" was let in");
    return;
  }
  throw Fault(FaultKind::input, "nobody waits with that key any more",
              Fix{"let the machine ask again: potluck join"});
}

}  // namespace potluck
