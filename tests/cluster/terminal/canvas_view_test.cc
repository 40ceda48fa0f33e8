// Rows of text fit a terminal and cannot drive it, and the canvas is drawn from a step's report.
#include "cluster/terminal/canvas_view.h"

#include <gtest/gtest.h>

#include <clocale>

#include "topology/model/locator.h"
#include "topology/model/model_source.h"

namespace potluck {
namespace {

std::vector<std::string> texts_of(const std::vector<TextRow>& rows) {
  std::vector<std::string> texts;
  for (const TextRow& row : rows) texts.push_back(row.text);
  return texts;
}

class TerminalText : public testing::Test {
 protected:
  static std::vector<TextRow> rows(const std::string& text, int columns) {
    const StyledText plain{text, false};
    return wrap({&plain, 1}, columns, true);
  }
  using Texts = std::vector<std::string>;
  const char* locale_ = std::setlocale(LC_CTYPE, "C.UTF-8");
};

TEST_F(TerminalText, WrapsAtTheLastColumn) {
  EXPECT_EQ(texts_of(rows("abcdef", 3)), (Texts{"abc", "def"}));
  EXPECT_EQ(texts_of(rows("abc\n\nd\n", 3)), (Texts{"abc", "", "d"}));
}

TEST_F(TerminalText, WideGlyphsTakeTwoColumnsAndAreNeverCut) {
  const std::vector<TextRow> wide = rows("a世界😀b", 4);
  EXPECT_EQ(texts_of(wide), (Texts{"a世", "界😀", "b"}));
  EXPECT_EQ(wide[0].columns, 3);
  EXPECT_EQ(wide[1].columns, 4);
}

TEST_F(TerminalText, MarksTakeNoColumn) {
  const std::vector<TextRow> rows_ = rows("e\u0301x", 2);
  EXPECT_EQ(texts_of(rows_), (Texts{"e\u0301x"}));
  EXPECT_EQ(rows_[0].columns, 2);
}

TEST_F(TerminalText, NothingMovesTheCursorOrReordersTheRow) {
  EXPECT_EQ(texts_of(rows("a\x1b[2Jb\rc\x07\u0085", 20)), (Texts{"a·[2Jb·c··"}));
  EXPECT_EQ(texts_of(rows(std::string("a\0b", 3), 20)), (Texts{"a·b"}));
  EXPECT_EQ(texts_of(rows("a\u202Eb\u2066c\u061Cd", 20)), (Texts{"abcd"}));
  EXPECT_EQ(texts_of(rows("a\u2028b\u2029c\u009B2J", 20)), (Texts{"a·b·c·2J"}));
  EXPECT_EQ(texts_of(rows("a\xff\xfe", 20)), (Texts{"a··"}));
}

TEST_F(TerminalText, TabsBecomeSpacesWithinTheRow) {
  EXPECT_EQ(texts_of(rows("a\tb", 20)), (Texts{"a       b"}));
  EXPECT_EQ(texts_of(rows("abc\td", 5)), (Texts{"abc  ", "d"}));
}

TEST_F(TerminalText, EachRowOpensAndClosesItsStyle) {
  const std::vector<StyledText> texts = {{"ab", false}, {"cdef", true}, {"g", false}};
  EXPECT_EQ(texts_of(wrap(texts, 4, true)), (Texts{"ab\x1b[2mcd\x1b[0m", "\x1b[2mef\x1b[0mg"}));
  EXPECT_EQ(texts_of(wrap(texts, 4, false)), (Texts{"abcd", "efg"}));
}

struct Step {
  Candidates candidates;
  StepDecision decision;
  StepReport report;

  Step(std::vector<int32_t> ids, std::vector<uint8_t> accepted) {
    candidates.argmax = std::move(ids);
    decision.accepted = std::move(accepted);
    decision.mean_entropy = 0.41234;
    report.step = 2;
    report.max_steps = 48;
    report.step_ms = 12.3;
    report.candidates = &candidates;
    report.decision = &decision;
  }
  Step(const Step&) = delete;
};

TEST(CanvasView, UncertainTokensAreDim) {
  const Tokenizer tokenizer(open_model(POTLUCK_GOLDEN "/nano")->vocabulary());
  const Step step(tokenizer.encode("abc"), {1, 0, 1});
  const std::vector<StyledText> texts = canvas_texts(tokenizer, step.report);
  ASSERT_EQ(texts.size(), 4u);
  EXPECT_FALSE(texts[0].dim);
  EXPECT_TRUE(texts[1].dim);
  EXPECT_EQ(texts[1].text, "b");
  EXPECT_FALSE(texts[2].dim);
}

TEST(CanvasView, TheStatusLineSaysWhatFits) {
  Step step({}, {});
  EXPECT_EQ(status_line(step.report, 0, "", 80), "step 3/48, entropy 0.4123, 12 ms/step");
  step.report.canvas = 1;
  EXPECT_EQ(status_line(step.report, 7, "about 4 s left", 80),
            "step 3/48, entropy 0.4123, 12 ms/step, canvas 2, 7 more rows, about 4 s left");
  EXPECT_EQ(status_line(step.report, 7, "about 4 s left", 50),
            "step 3/48, entropy 0.4123, 12 ms/step, canvas 2");
}

}  // namespace
}  // namespace potluck
