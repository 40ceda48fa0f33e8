// Candidates go into a payload and come back, and a payload of another size is refused.
#include "transport/candidates.h"

#include <gtest/gtest.h>

namespace potluck {
namespace {

const Candidates kThree{{5, -1, 7}, {9, 2, 262143}, {0.0f, 1.5f, 12.4766f}};

TEST(Candidates, ComeBackFromTheirPayload) {
  const Candidates back = decode_candidates(encode_candidates(kThree), 3);
  EXPECT_EQ(back.argmax, kThree.argmax);
  EXPECT_EQ(back.sample, kThree.sample);
  EXPECT_EQ(back.entropy, kThree.entropy);
}

TEST(Candidates, OfAnotherCanvasAreRefused) {
  for (int canvas : {0, 2, 4, 256}) {
    try {
      decode_candidates(encode_candidates(kThree), canvas);
      FAIL() << "a canvas of " << canvas << " took the candidates of 3";
    } catch (const Fault& fault) {
      EXPECT_EQ(fault.kind(), FaultKind::refused);
      EXPECT_EQ(fault.text(), "the candidates have 36 bytes; those of a canvas of " +
                                  std::to_string(canvas) + " have " + std::to_string(12 * canvas));
    }
  }
}

}  // namespace
}  // namespace potluck
