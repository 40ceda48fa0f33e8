#include "cluster/canvas_view.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>

namespace potluck {
namespace {
constexpr char kDim[] = "\x1b[2m";
constexpr char kPlain[] = "\x1b[0m";
constexpr int kColumnsUnknown = 80;

int terminal_columns() {
  winsize size{};
  const bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : kColumnsUnknown;
}

// Terminal rows that text takes, one column a code point; escape codes take none.
int rows_of(const std::string& text, int columns) {
  int rows = 0, column = 0;
  bool escape = false;
  for (char c : text) {
    if (escape) {
      escape = c != 'm';
    } else if (c == '\x1b') {
      escape = true;
    } else if (c == '\n') {
      ++rows;
      column = 0;
    } else if ((c & 0xC0) != 0x80 && ++column > columns) {
      ++rows;
      column = 1;
    }
  }
  return rows;
}

}  // namespace

CanvasView::CanvasView(const Tokenizer& tokenizer, bool color, bool terminal)
    : tokenizer_(tokenizer), color_(color), terminal_(terminal) {}

// Each position's most likely token; control characters would move the cursor, so they show as
// dots.
std::string CanvasView::canvas_text(const StepReport& report) const {
  std::string text;
  StreamDecoder decoder(tokenizer_);
  bool dim = false;
  for (size_t i = 0; i < report.candidates->argmax.size(); ++i) {
    const bool uncertain = !report.decision->accepted[i];
    if (color_ && uncertain != dim) text += uncertain ? kDim : kPlain;
    dim = uncertain;
    std::string token = decoder.push(report.candidates->argmax[i]);
    for (char& c : token)
      if (static_cast<unsigned char>(c) < ' ' && c != '\n') c = '.';
    text += token;
  }
  return text + decoder.finish() + (color_ && dim ? kPlain : "");
}

void CanvasView::draw(const StepReport& report) {
  clear();
  char status[160];
  std::snprintf(status, sizeof(status),
                "\ncanvas %d, step %d of at most %d, mean entropy %.4f, %.0f ms\n",
                report.canvas + 1, report.step + 1, report.max_steps, report.decision->mean_entropy,
                report.step_ms);
  const std::string text = canvas_text(report) + status;
  std::fputs(text.c_str(), stderr);
  lines_ = rows_of(text, terminal_columns());
}

void CanvasView::clear() {
  if (terminal_ && lines_ > 0) std::fprintf(stderr, "\x1b[%dA\x1b[J", lines_);
  lines_ = 0;
}

}  // namespace potluck
