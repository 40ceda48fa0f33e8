// The canvas on stderr while it is denoised: redrawn in place on a terminal, accepted tokens solid
// and uncertain ones dim, with step, mean entropy and ms a step under it. What is drawn never
// exceeds the screen: lines are wrapped here, the terminal's own wrapping is off meanwhile, and
// rows past the screen's height are left away and counted.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "cluster/terminal/terminal.h"
#include "cluster/terminal/terminal_text.h"
#include "coordinator/pipeline.h"
#include "coordinator/text/tokenizer.h"

namespace potluck {

class CanvasView final {
 public:
  // color: escape codes may be written; terminal: the cursor may be moved.
  CanvasView(const Tokenizer& tokenizer, bool color, bool terminal);
  // before: text that stands in front of the canvas; note: goes last into the line under it.
  void draw(const StepReport& report, const std::string& before = {}, const std::string& note = {});
  void say(const std::string& line);  // instead of a canvas
  void clear();                       // takes the drawing away, before the answer is printed

 private:
  void replace(const std::vector<TextRow>& rows, Screen screen);
  int rows_drawn(Screen screen) const;

  const Tokenizer& tokenizer_;
  const bool color_, terminal_;
  std::vector<int> drawn_;  // columns of each row drawn last time
};

// Each position's most likely token, the uncertain ones dim.
std::vector<StyledText> canvas_texts(const Tokenizer& tokenizer, const StepReport& report);

// "step 3/48, entropy 0.4123, 12 ms/step" and as much more as fits: the canvas' number from the
// second on, rows that are hidden, the note.
std::string status_line(const StepReport& report, size_t hidden_rows, const std::string& note,
                        int columns);

}  // namespace potluck
