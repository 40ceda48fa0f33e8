// Draws the canvas on stderr with escape codes, over what it drew before.
#include "cluster/terminal/canvas_view.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

namespace potluck {
namespace {

constexpr char kWrapOff[] = "\x1b[?7l";
constexpr char kWrapOn[] = "\x1b[?7h";
constexpr char kClearRest[] = "\x1b[K";          // the rest of the row
constexpr char kClearBelow[] = "\x1b[J";         // the screen below
constexpr char kClearAbove[] = "\x1b[A\x1b[2K";  // the row above
constexpr int kRowsBelow = 2;  // the status line, and the row that the cursor waits in

}  // namespace

std::vector<StyledText> canvas_texts(const Tokenizer& tokenizer, const StepReport& report) {
  std::vector<StyledText> texts;
  StreamDecoder decoder(tokenizer);
  bool dim = false;
  for (size_t i = 0; i < report.candidates->argmax.size(); ++i) {
    dim = !report.decision->accepted[i];
    texts.push_back({decoder.push(report.candidates->argmax[i]), dim});
  }
  texts.push_back({decoder.finish(), dim});
  return texts;
}

std::string status_line(const StepReport& report, size_t hidden_rows, const std::string& note,
                        int columns) {
  std::string line = fmt::format("step {}/{}, entropy {:.4f}, {:.0f} ms/step", report.step + 1,
                                 report.max_steps, report.decision->mean_entropy, report.step_ms);
  std::vector<std::string> more;
  if (report.canvas > 0) more.push_back(fmt::format("canvas {}", report.canvas + 1));
  if (hidden_rows) more.push_back(fmt::format("{} more rows", hidden_rows));
  if (!note.empty()) more.push_back(note);
  for (const std::string& each : more)
    if (line.size() + 2 + each.size() <= static_cast<size_t>(columns)) line += ", " + each;
  return line;
}

CanvasView::CanvasView(const Tokenizer& tokenizer, bool color, bool terminal)
    : tokenizer_(tokenizer), color_(color), terminal_(terminal) {}

void CanvasView::draw(const StepReport& report, const std::string& before,
                      const std::string& note) {
  const Screen screen = stderr_screen();
  std::vector<StyledText> texts = canvas_texts(tokenizer_, report);
  texts.insert(texts.begin(), {before, false});
  std::vector<TextRow> rows = wrap(texts, screen.columns, color_);
  const size_t room = std::max(screen.rows - kRowsBelow, 0);
  const size_t hidden = terminal_ && rows.size() > room ? rows.size() - room : 0;
  rows.resize(rows.size() - hidden);
  rows.push_back(one_row(status_line(report, hidden, note, screen.columns), screen.columns));
  replace(rows, screen);
}

void CanvasView::say(const std::string& line) {
  const Screen screen = stderr_screen();
  replace({one_row(line, screen.columns)}, screen);
}

// Clears row by row, because some terminals keep a cleared screen in their history.
void CanvasView::clear() {
  std::string out = "\r";
  for (int row = rows_drawn(stderr_screen()); row > 0; --row) out += kClearAbove;
  if (!drawn_.empty()) std::fputs(out.c_str(), stderr);
  drawn_.clear();
}

// Writes once, so that no half of a drawing is seen.
void CanvasView::replace(const std::vector<TextRow>& rows, Screen screen) {
  const int up = rows_drawn(screen);
  std::string out = terminal_ ? std::string(kWrapOff) + "\r" : "";
  if (up > 0) out += fmt::format("\x1b[{}A", up);
  drawn_.clear();
  for (const TextRow& row : rows) {
    out += row.text;
    if (terminal_ && row.columns < screen.columns) out += kClearRest;
    out += '\n';
    if (terminal_) drawn_.push_back(row.columns);
  }
  if (terminal_) out += std::string(kClearBelow) + kWrapOn;
  std::fwrite(out.data(), 1, out.size(), stderr);
}

// A terminal that has become narrower has wrapped the rows that were drawn.
int CanvasView::rows_drawn(Screen screen) const {
  int rows = 0;
  for (int columns : drawn_) rows += std::max(1, (columns + screen.columns - 1) / screen.columns);
  return std::min(rows, screen.rows - 1);
}

}  // namespace potluck
