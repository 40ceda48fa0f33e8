// A token comes back as it was made, and every slip of whoever copies it is found.
#include "transport/proof/join_token.h"

#include <gtest/gtest.h>

#include "topology/base/fault.h"
#include "transport/proof/ring_proof.h"

namespace potluck {
namespace {

const std::string kKey = "00112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef";

JoinToken sample() {
  return {kKey, {"10.0.0.3:7117", "[fd00::3]:7117", "desk.home:7117"}, random_bytes(16)};
}

std::string refusal(const std::string& text) {
  try {
    parse_token(text);
  } catch (const Fault& fault) {
    EXPECT_EQ(fault.kind(), FaultKind::input);
    return fault.what();
  }
  return "taken";
}

TEST(JoinToken, ComesBackAsItWasMade) {
  for (const size_t addresses : {0u, 1u, 3u}) {
    JoinToken token = sample();
    token.addresses.resize(addresses);
    const JoinToken back = parse_token(token_text(token));
    EXPECT_EQ(back.cluster_key, token.cluster_key);
    EXPECT_EQ(back.addresses, token.addresses);
    EXPECT_EQ(back.secret, token.secret);
  }
}

TEST(JoinToken, IsOneWordThatNoShellTakesForAnythingElse) {
  const std::string text = token_text(sample());
  EXPECT_EQ(text.rfind("pl1_", 0), 0u);
  EXPECT_EQ(text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "0123456789-_"),
            std::string::npos);
  EXPECT_LT(text.size(), 150u);
}

TEST(JoinToken, MayHaveBeenBrokenOverLines) {
  const JoinToken token = sample();
  std::string text = token_text(token);
  text.insert(40, "\n  ");
  EXPECT_EQ(parse_token(" " + text + "\r\n").secret, token.secret);
}

TEST(JoinToken, EveryWrongLetterIsFound) {
  const std::string text = token_text(sample());
  for (size_t at = 4; at < text.size(); ++at) {
    std::string wrong = text;
    wrong[at] = wrong[at] == 'A' ? 'B' : 'A';
    EXPECT_NE(refusal(wrong), "taken") << at;
    EXPECT_NE(refusal(text.substr(0, at)), "taken") << at;
  }
  EXPECT_NE(refusal(text + "A"), "taken");
}

TEST(JoinToken, SaysWhatIsWrongAndNothingOfTheSecret) {
  const std::string text = token_text(sample());
  std::string wrong = text;
  std::swap(wrong[20], wrong[30]);
  if (wrong == text) wrong[20] ^= 1;
  for (const auto& [word, part] : {std::pair<std::string, std::string>{"", "does not begin"},
                                   {"hello", "does not begin with pl1_"},
                                   {"pl2_" + text.substr(4), "another version"},
                                   {wrong, "checksum"},
                                   {text.substr(0, 30), "cut off"},
                                   {text + "!", "letter that no token has"},
                                   {std::string(5000, 'a'), "longer than any"}}) {
    const std::string line = refusal(word);
    EXPECT_NE(line.find(part), std::string::npos) << line;
    EXPECT_EQ(line.find(text.substr(10, 20)), std::string::npos) << line;
  }
}

TEST(JoinToken, TheHashNamesASecretAndDoesNotShowIt) {
  const std::string one = random_bytes(kTokenSecretBytes), two = random_bytes(kTokenSecretBytes);
  EXPECT_EQ(token_hash(one), token_hash(one));
  EXPECT_NE(token_hash(one), token_hash(two));
  EXPECT_EQ(token_hash(one).size(), 64u);
  EXPECT_EQ(token_id(token_hash(one)).size(), 8u);
}

}  // namespace
}  // namespace potluck
