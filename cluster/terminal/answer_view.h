// AnswerView: one answer as a person sees it while it is made. The answer goes to stdout, a canvas
// at a time; the canvas, progress and what the model thinks go to stderr.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "cluster/terminal/canvas_view.h"
#include "cluster/terminal/display.h"
#include "coordinator/request.h"
#include "coordinator/text/answer_text.h"

namespace potluck {

// Writes text to a stream; by_lines: only whole lines, the rest is held.
class LineWriter final {
 public:
  struct Style {
    bool by_lines = false, dim = false, harmless = false;
  };
  LineWriter(std::FILE* out, Style style) : out_(out), style_(style) {}
  void put(const std::string& text);
  void end();  // what is held, and a newline if the last line has none
  const std::string& held() const { return held_; }

 private:
  void write(const std::string& text);

  std::FILE* const out_;
  const Style style_;
  std::string held_;
  bool within_line_ = false;
};

class AnswerView final {
 public:
  AnswerView(const Tokenizer& tokenizer, const Display& display, const Request& request,
             int canvas);
  ~AnswerView();  // finishes

  RequestEvents events();  // for one request; they refer to this
  void finish();           // what is held back; the canvas is gone
  const AnswerText& text() const { return text_; }

 private:
  void encoding(const EncodeReport& report);
  void waiting(const WaitReport& report);
  void step(const StepReport& report);
  void canvas_done(std::span<const int32_t> ids);
  void show(const AnswerText& text);
  std::string time_left(const StepReport& report) const;

  const Display display_;
  const int canvases_;  // at most
  const std::vector<int32_t> end_ids_;
  CanvasView view_;
  AnswerReader reader_;
  LineWriter thoughts_, answers_;
  AnswerText text_;
  std::vector<double> step_ms_;
  bool finished_ = false;
};

}  // namespace potluck
