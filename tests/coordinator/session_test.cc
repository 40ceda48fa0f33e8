// Which prompts go on from what a session holds.
#include "coordinator/session.h"

#include <gtest/gtest.h>

namespace potluck {
namespace {

bool goes_on(std::vector<int32_t> held, std::vector<int32_t> prompt) {
  return continues(Session{1, std::move(held), 0, 0}, prompt);
}

TEST(Session, IsContinuedByPromptsThatBeginWithAllItHolds) {
  EXPECT_TRUE(goes_on({}, {1}));
  EXPECT_TRUE(goes_on({1, 2}, {1, 2}));
  EXPECT_TRUE(goes_on({1, 2}, {1, 2, 3}));
  EXPECT_FALSE(goes_on({1, 2}, {1, 3, 2}));
  EXPECT_FALSE(goes_on({1, 2}, {1}));
}

TEST(Sessions, NeverGiveAnIdTwice) {
  Sessions sessions;
  const uint64_t first = sessions.open().id;
  EXPECT_TRUE(sessions.close(first));
  EXPECT_FALSE(sessions.close(first));
  EXPECT_EQ(sessions.find(first), nullptr);
  EXPECT_NE(sessions.open().id, first);
  EXPECT_EQ(sessions.count(), 1u);
}

}  // namespace
}  // namespace potluck
