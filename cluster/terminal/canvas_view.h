// CanvasView: shows the canvas on stderr while it is denoised. On a terminal it is redrawn in
// place, with uncertain tokens dim, and with the step, the mean entropy and the ms a step under it.
// A drawing never exceeds the screen: lines are wrapped here while the terminal's own wrapping is
// off, and rows past the screen's height are left out and counted.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "cluster/terminal/terminal.h"
#include "cluster/terminal/terminal_text.h"
#include "coordinator/request.h"
#include "coordinator/text/tokenizer.h"

namespace potluck {

class CanvasView final {
 public:
  // color: whether escape codes may be written; terminal: whether the cursor may be moved.
  CanvasView(const Tokenizer& tokenizer, bool color, bool terminal);
  // before: text in front of the canvas; note: the end of the line under it.
  void draw(const StepReport& report, const std::string& before = {}, const std::string& note = {});
  void say(const std::string& line);  // shows a line instead of a canvas
  void clear();                       // removes the drawing, before the answer is printed

 private:
  void replace(const std::vector<TextRow>& rows, Screen screen);
  int rows_drawn(Screen screen) const;

  const Tokenizer& tokenizer_;
  const bool color_, terminal_;
  std::vector<int> drawn_;  // columns of each row drawn last time
};

// The most likely token of each position; the uncertain ones are dim.
std::vector<StyledText> canvas_texts(const Tokenizer& tokenizer, const StepReport& report);

// "step 3/48, entropy 0.4123, 12 ms/step", followed by what fits of: the canvas' number from the
// second on, the count of hidden rows, the note.
std::string status_line(const StepReport& report, size_t hidden_rows, const std::string& note,
                        int columns);

}  // namespace potluck
