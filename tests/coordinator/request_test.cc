// Requests that ask for too much, or for nothing, are refused.
#include "coordinator/request.h"

#include <gtest/gtest.h>

namespace potluck {
namespace {

std::string refusal(const Request& request) {
  ModelSpec spec;
  spec.canvas = 8;
  spec.vocab = 100;
  Plan plan;
  plan.ctx_size = 16;
  try {
    check_request(request, spec, plan);
  } catch (const Fault& fault) {
    EXPECT_EQ(fault.kind(), FaultKind::input);
    return fault.text();
  }
  return "";
}

TEST(Request, IsRefusedWithTheValueThatIsWrong) {
  Request request;
  EXPECT_NE(refusal(request).find("empty"), std::string::npos);
  request.prompt = std::vector<int32_t>(8, 99);
  EXPECT_EQ(refusal(request), "");
  request.prompt.push_back(5);
  EXPECT_NE(refusal(request).find("needs a context of 17, this one has 16"), std::string::npos);
  request.prompt = {1, 100};
  EXPECT_NE(refusal(request).find("id 100 is outside"), std::string::npos);
  request.prompt = {-1};
  EXPECT_NE(refusal(request).find("id -1 is outside"), std::string::npos);
  request.prompt = {1};
  request.max_tokens = 0;
  EXPECT_NE(refusal(request).find("0 tokens"), std::string::npos);
}

TEST(TokensAtMost, AreWholeCanvasesOfWhatTheContextHasLeft) {
  EXPECT_EQ(tokens_at_most(kUntilTheEnd, 100, 256, 1024), 768);
  EXPECT_EQ(tokens_at_most(300, 100, 256, 1024), 300);
  EXPECT_EQ(tokens_at_most(1000, 100, 256, 1024), 768);
  EXPECT_EQ(tokens_at_most(kUntilTheEnd, 768, 256, 1024), 256);
}

}  // namespace
}  // namespace potluck
