#include "cluster/canvas_view.h"

#include <algorithm>
#include <cstdio>

namespace potluck {
namespace {
constexpr char kDim[] = "\x1b[2m";
constexpr char kPlain[] = "\x1b[0m";
}  // namespace

CanvasView::CanvasView(const Tokenizer& tokenizer, bool color, bool terminal)
    : tokenizer_(tokenizer), color_(color), terminal_(terminal) {}

// Each position's most likely token; control characters would move the cursor, so they show as ·.
std::string CanvasView::canvas_text(const StepReport& report) const {
  std::string text;
  bool dim = false;
  for (size_t i = 0; i < report.candidates->argmax.size(); ++i) {
    const bool uncertain = !report.decision->accepted[i];
    if (color_ && uncertain != dim) text += uncertain ? kDim : kPlain;
    dim = uncertain;
    const int32_t id = report.candidates->argmax[i];
    std::string token = tokenizer_.is_special(id) ? "" : tokenizer_.decode(std::span(&id, 1));
    for (char& c : token)
      if (static_cast<unsigned char>(c) < ' ' && c != '\n') c = '.';
    text += token;
  }
  return text + (color_ && dim ? kPlain : "");
}

void CanvasView::draw(const StepReport& report) {
  clear();
  const std::string text = canvas_text(report);
  std::fprintf(stderr, "%s\ncanvas %d, step %d of at most %d, mean entropy %.4f, %.0f ms\n",
               text.c_str(), report.canvas + 1, report.step + 1, report.max_steps,
               report.decision->mean_entropy, report.step_ms);
  lines_ = static_cast<int>(std::count(text.begin(), text.end(), '\n')) + 2;
}

void CanvasView::clear() {
  if (terminal_ && lines_ > 0) std::fprintf(stderr, "\x1b[%dA\x1b[J", lines_);
  lines_ = 0;
}

}  // namespace potluck
