// Admission: how a coordinator lets machines in. One that is known by its key may come; one with a
// token is written in; any other shows six words, and waits for a person who sees the same words on
// both screens and says yes. A plain object without sockets: whoever has the control channel asks
// it, with the key that the caller's link is locked with.
#pragma once

#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "coordinator/membership/guest_book.h"
#include "topology/base/clock.h"
#include "transport/proof/six_words.h"

namespace potluck {

// How long a person has to say yes, and how many machines may wait for that at once.
inline constexpr double kYesSeconds = 180;
inline constexpr size_t kWaitingMax = 8;
inline constexpr size_t kGuestNameMax = 64;

class Admission final {
 public:
  // own_key: the coordinator's public one. say: tells the person what happens.
  Admission(std::string own_key, PrivateFile book, std::function<void(const std::string& line)> say)
      : own_key_(std::move(own_key)), book_(std::move(book)), say_(std::move(say)) {}

  // The verbs of a machine that wants in; `key` is the one of its link. They throw Fault{refused}
  // or Fault{input} as the answer.
  //   ask     {"name", "software", "secret"? or "words"?}  → {"admitted"} or {"commitment"}
  //   number  {"number"}  → {"number"}, and the person sees the words
  //   wait    {}          → {"admitted"} or {"waiting"}
  // Who has no token and does not know this cluster's key yet asks for words, also if it was here
  // before: it has to see for itself who answers.
  nlohmann::json ask(const std::string& key, const nlohmann::json& body, Time now);
  nlohmann::json number(const std::string& key, const nlohmann::json& body, Time now);
  nlohmann::json wait(const std::string& key, Time now);

  // A book that cannot be read is told of once, and counts as it was until it can be again.
  bool is_admitted(const std::string& key) const;

  // Those that show words now, and what the person said to one of them. Throws Fault{input} if
  // nobody of that name or key waits.
  struct Waiting {
    std::string key, name, words;
  };
  std::vector<Waiting> waiting(Time now);
  void answer(const std::string& who, bool yes, Time now);

 private:
  struct Visitor {
    std::string name, words;  // words: empty until its number has come
    WordMeeting meeting;
    Time since;
    bool refused = false;
  };
  GuestBook book() const;
  void forget_late(Time now);
  Visitor& visitor(const std::string& key);

  const std::string own_key_;
  const PrivateFile book_;
  const std::function<void(const std::string& line)> say_;
  std::map<std::string, Visitor> visitors_;
  mutable GuestBook known_;          // the book as it was read last
  mutable bool is_damaged_ = false;  // and cannot be read now, as the person was told
};

// The guest book of a file; an empty one if there is none.
GuestBook read_guest_book(const PrivateFile& file);
void change_guest_book(const PrivateFile& file, const std::function<void(GuestBook&)>& edit);

}  // namespace potluck
