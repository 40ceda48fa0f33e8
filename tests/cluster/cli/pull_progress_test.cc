// Progress of a download is told in what came, what there is, a rate and a time.
#include "cluster/cli/pull_progress.h"

#include <gmock/gmock.h>

namespace potluck {
namespace {

using testing::ContainsRegex;
using testing::Not;

TEST(PullProgress, WhatCameIsPartOfWhatThereIs) {
  PullProgress progress(false);
  progress.expect(2'000'000);
  progress.arrive(500'000);
  progress.expect(1'000'000);
  EXPECT_THAT(progress.state(), ContainsRegex("^500 KB of 3.00 MB, .*B/s, [0-9]+ s left$"));
  progress.arrive(2'500'000);
  EXPECT_THAT(progress.state(), ContainsRegex("^3.00 MB of 3.00 MB, .*B/s$"));
  EXPECT_THAT(progress.summary(), ContainsRegex("^3.00 MB in [0-9]+ s, .*B/s$"));
}

TEST(PullProgress, WhatNobodyExpectedCountsAll) {
  PullProgress progress(false);
  progress.arrive(1'000);
  EXPECT_THAT(progress.state(), ContainsRegex("^1.00 KB of 1.00 KB"));
  EXPECT_THAT(progress.state(), Not(ContainsRegex("left")));
}

}  // namespace
}  // namespace potluck
