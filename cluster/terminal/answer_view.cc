// Shows an answer while it is made: progress on stderr, the text on stdout.
#include "cluster/terminal/answer_view.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "cluster/cli/statistics.h"
#include "cluster/terminal/terminal_text.h"
#include "coordinator/canvas.h"
#include "topology/base/utf8.h"

namespace potluck {
namespace {

bool in_place(const Display& display) {
  return display.show == Show::canvas && display.stderr_terminal;
}

// While a canvas is redrawn, an unfinished line of text is part of the drawing.
LineWriter::Style answer_style(const Display& display) {
  return {in_place(display) && display.stdout_terminal, false, display.stdout_terminal};
}

LineWriter::Style thought_style(const Display& display) {
  return {in_place(display), display.color, display.stderr_terminal};
}

}  // namespace

void LineWriter::put(const std::string& text) {
  held_ += text;
  const size_t whole = style_.by_lines ? held_.rfind('\n') + 1 : held_.size();
  write(held_.substr(0, whole));
  held_.erase(0, whole);
}

void LineWriter::end() {
  write(std::exchange(held_, {}));
  if (within_line_) write("\n");
}

void LineWriter::write(const std::string& text) {
  if (text.empty()) return;
  within_line_ = text.back() != '\n';
  std::string shown = style_.harmless ? harmless(text) : text;
  if (style_.dim) shown = kDim + shown + kPlain;
  std::fwrite(shown.data(), 1, shown.size(), out_);
  std::fflush(out_);
}

AnswerView::AnswerView(const Tokenizer& tokenizer, const Display& display, const Request& request,
                       int canvas)
    : display_(display),
      canvases_((request.max_tokens + canvas - 1) / canvas),
      end_ids_(request.generation.eos_ids),
      view_(tokenizer, display.color, display.stderr_terminal),
      reader_(tokenizer, request.prompt),
      thoughts_(stderr, thought_style(display)),
      answers_(stdout, answer_style(display)) {}

AnswerView::~AnswerView() {
  finish();
}

RequestEvents AnswerView::events() {
  RequestEvents events;
  events.encoding = [this](const EncodeReport& report) { encoding(report); };
  events.waiting = [this](const WaitReport& report) { waiting(report); };
  events.step = [this](const StepReport& report) { step(report); };
  events.canvas_done = [this](const CanvasReport& report) { canvas_done(report.ids); };
  return events;
}

void AnswerView::encoding(const EncodeReport& report) {
  const auto [request, done, total] = report;
  spdlog::trace("encoded {} of {} tokens", done, total);
  if (!in_place(display_)) return;
  view_.say(done == total ? "first step …"
            : done        ? fmt::format("encoded {} of {} tokens", done, total)
                          : fmt::format("encoding {} tokens", total));
}

// Later steps take as long as the first one, which people have seen by then.
void AnswerView::waiting(const WaitReport& report) {
  if (!step_ms_.empty()) return;
  const std::string line =
      fmt::format("waiting for {} ({:.0f} s so far)", report.what, report.seconds);
  in_place(display_) ? view_.say(line) : spdlog::info(line);
}

void AnswerView::step(const StepReport& report) {
  step_ms_.push_back(report.step_ms);
  spdlog::trace("canvas {}, step {}: temperature {:.4f}, mean entropy {:.4f}, {:.1f} ms",
                report.canvas + 1, report.step + 1, report.temperature,
                report.decision->mean_entropy, report.step_ms);
  const std::string left = time_left(report);
  if (display_.show == Show::canvas)
    view_.draw(report, thoughts_.held() + answers_.held(), left);
  else if (display_.estimate && step_ms_.size() == 1)
    spdlog::info("first step {:.0f} ms; {} if all steps run", report.step_ms, left);
}

void AnswerView::canvas_done(std::span<const int32_t> ids) {
  view_.clear();
  show(reader_.push(without_end(ids, end_ids_)));
}

void AnswerView::finish() {
  if (std::exchange(finished_, true)) return;
  view_.clear();
  show(reader_.finish());
  if (display_.show != Show::none) thoughts_.end();
  if (!display_.json) answers_.end();
}

void AnswerView::show(const AnswerText& text) {
  text_.thought += text.thought;
  text_.answer += text.answer;
  if (display_.show != Show::none) {
    thoughts_.put(text.thought);
    if (!text.answer.empty()) thoughts_.end();
  }
  if (!display_.json) answers_.put(text.answer);
}

// Counts all steps of all canvases as if each took what the usual one so far has, and between two
// canvases an encode, which takes about a step's time.
std::string AnswerView::time_left(const StepReport& report) const {
  const int steps = report.max_steps - report.step - 1;
  const int canvases = display_.endless ? 0 : canvases_ - report.canvas - 1;
  const double ms =
      median(step_ms_) * (steps + static_cast<double>(canvases) * (report.max_steps + 1));
  return fmt::format("about {:.{}f} s {}", ms / 1e3, ms < 1e4 ? 1 : 0,
                     display_.endless ? "for this canvas" : "left");
}

}  // namespace potluck
