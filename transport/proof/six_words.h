// Six words by which two people, or one before two screens, see that two machines talk to each
// other and not to somebody in between. They are drawn from both machines' keys and from a number
// of each. The coordinator binds itself to its number before it sees the other one, so that nobody
// in between can try numbers until both screens show the same: he has one guess of 2^48.
//
//   joiner       asks
//   coordinator  answers with a commitment to its keys and its number
//   joiner       says its number
//   coordinator  says its number, and shows the words
//   joiner       checks the commitment, and shows the words
#pragma once

#include <cstddef>
#include <string>

namespace potluck {

inline constexpr int kWords = 6;
inline constexpr size_t kWordNonceBytes = 32;

struct WordMeeting {
  std::string coordinator_key, joiner_key;      // public keys (key.h)
  std::string coordinator_nonce, joiner_nonce;  // kWordNonceBytes each, drawn for this meeting
};

// A hash of all but the joiner's number.
std::string word_commitment(const WordMeeting& meeting);
// "apple harbor copper violin meadow tunnel"
std::string six_words(const WordMeeting& meeting);

}  // namespace potluck
