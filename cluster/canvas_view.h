// The canvas on stderr while it is denoised: redrawn in place on a terminal, accepted tokens solid
// and uncertain ones dim, with step, mean entropy and ms a step under it.
#pragma once

#include <string>

#include "coordinator/pipeline.h"
#include "coordinator/tokenizer.h"

namespace potluck {

enum class Show { none, text, canvas };

class CanvasView final {
 public:
  // color: escape codes may be written; terminal: the cursor may be moved.
  CanvasView(const Tokenizer& tokenizer, bool color, bool terminal);
  void draw(const StepReport& report);
  void clear();  // takes the drawing away, before the answer is printed

 private:
  std::string canvas_text(const StepReport& report) const;

  const Tokenizer& tokenizer_;
  bool color_, terminal_;
  int lines_ = 0;  // drawn last time
};

}  // namespace potluck
