// Addresses are taken apart and put together so that a token stays with its host.
#include "topology/hub/http.h"

#include <gtest/gtest.h>

namespace potluck {
namespace {

TEST(Http, AnOriginIsSchemeHostAndPort) {
  EXPECT_EQ(origin_of("https://HuggingFace.co/api/x"), "https://huggingface.co");
  EXPECT_EQ(origin_of("http://localhost:80?x"), "http://localhost:80");
  EXPECT_NE(origin_of("https://huggingface.co.evil.net/"), origin_of("https://huggingface.co/"));
  EXPECT_EQ(origin_of("no address"), "");
}

TEST(Http, APathKeepsItsSlashesAndNothingElseThatHasAMeaning) {
  EXPECT_EQ(url_path("Q8_0/a b?c#d%e.gguf"), "Q8_0/a%20b%3Fc%23d%25e.gguf");
}

}  // namespace
}  // namespace potluck
