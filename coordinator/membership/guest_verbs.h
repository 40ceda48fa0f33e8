// The verbs of the control channel that joining takes; those of be_let_in.h come before.
#pragma once

namespace potluck {

inline constexpr char kHelloVerb[] = "join.hello";      // {} → {"potluck": true}
inline constexpr char kClusterVerb[] = "join.cluster";  // {} → {"model"}, for who is let in
// guest_offer.h → {"parts": {worker: part}, "why": {worker: why it has none}}
inline constexpr char kOfferVerb[] = "join.offer";
// {} → the same, of parts that are not given up yet; "why" says what keeps them
inline constexpr char kLeaveVerb[] = "join.leave";
inline constexpr char kWaitingVerb[] = "admit.waiting";  // {} → {"waiting": [{key, name, words}]}
inline constexpr char kAnswerVerb[] = "admit.answer";    // {"key", "yes"} → {}

// A guest says its offer again this often, so that a coordinator that has started anew hears of it.
inline constexpr double kOfferSeconds = 2;

}  // namespace potluck
