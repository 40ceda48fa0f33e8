// The side of admission.h that wants in.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

namespace potluck {

// Asks the coordinator and returns its answer; throws the Fault that it answers with.
using AskCoordinator =
    std::function<nlohmann::json(const std::string& verb, const nlohmann::json& body)>;

inline constexpr char kAskToJoinVerb[] = "join.ask";
inline constexpr char kNumberVerb[] = "join.number";
inline constexpr char kWaitVerb[] = "join.wait";

struct Entry {
  std::string name;  // this machine's, for people
  std::string own_key, cluster_key;
  std::optional<std::string> secret;  // a token's
  // The cluster's key is known from a token or from being a member already. Otherwise whoever
  // answers has to show the six words that this machine's screen shows, too.
  bool knows_cluster = false;
  // Shows the words to the person of this machine; whether the other screen shows the same.
  std::function<bool(const std::string& words)> same_words;
};

// Returns once this machine is let in; `pause` is called between questions. Throws Fault{refused},
// Fault{canceled} when the person says no, and what `ask` throws.
void be_let_in(const Entry& entry, const AskCoordinator& ask, const std::function<void()>& pause);

}  // namespace potluck
