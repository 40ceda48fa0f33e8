// Two screens show the same words for one meeting alone.
#include "transport/proof/six_words.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <sstream>

#include "transport/proof/ring_proof.h"

namespace potluck {
namespace {

WordMeeting sample_meeting() {
  return {std::string(64, 'a'), std::string(64, 'b'), random_bytes(kWordNonceBytes),
          random_bytes(kWordNonceBytes)};
}

std::set<std::string> words_in(const std::string& text) {
  std::istringstream words(text);
  return {std::istream_iterator<std::string>(words), {}};
}

TEST(SixWords, AreTheSameForTheSameMeetingAndNoOther) {
  const WordMeeting meeting = sample_meeting();
  EXPECT_EQ(six_words(meeting), six_words(meeting));
  for (std::string WordMeeting::*part :
       {&WordMeeting::coordinator_key, &WordMeeting::joiner_key, &WordMeeting::coordinator_nonce,
        &WordMeeting::joiner_nonce}) {
    WordMeeting other = meeting;
    std::string& text = other.*part;
    text[5] = text[5] == 'c' ? 'd' : 'c';
    EXPECT_NE(six_words(other), six_words(meeting));
  }
}

TEST(SixWords, TheKeysCannotChangePlaces) {
  WordMeeting other = sample_meeting();
  const std::string words = six_words(other);
  std::swap(other.coordinator_key, other.joiner_key);
  EXPECT_NE(six_words(other), words);
}

TEST(SixWords, ACommitmentBindsTheCoordinatorBeforeItKnowsTheJoinersNumber) {
  const WordMeeting meeting = sample_meeting();
  WordMeeting later = meeting;
  later.joiner_nonce = random_bytes(kWordNonceBytes);
  EXPECT_EQ(word_commitment(later), word_commitment(meeting));
  later.coordinator_nonce = random_bytes(kWordNonceBytes);
  EXPECT_NE(word_commitment(later), word_commitment(meeting));
  later = meeting;
  later.coordinator_key = std::string(64, 'c');
  EXPECT_NE(word_commitment(later), word_commitment(meeting));
}

TEST(SixWords, AllOfTheListComesUpAndNoWordTwice) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::string words = six_words(sample_meeting());
    EXPECT_EQ(std::count(words.begin(), words.end(), ' '), kWords - 1);
    seen.merge(words_in(words));
  }
  EXPECT_EQ(seen.size(), 256u);  // 6,000 draws miss one of 256 words once in 60 million runs
}

}  // namespace
}  // namespace potluck
