// LineEditor: reads messages from a terminal. If stderr is a terminal too, lines can be edited
// there and this run's history recalled (libedit); else lines come as the terminal gives them.
#pragma once

#include <functional>
#include <memory>
#include <string>

namespace potluck {

struct TypedMessage {
  enum class Kind { message, interrupted, stopped, end } kind = Kind::end;
  std::string text;  // UTF-8, without the last newline; stopped: what was typed so far
};

class LineEditor final {
 public:
  // edit: whether stdin and stderr are terminals that can move the cursor. goes_on: asked several
  // times a second while nothing is typed; read() stops when it says no.
  LineEditor(bool edit, std::function<bool()> goes_on);
  ~LineEditor();

  // Waits for Enter. A pasted text (bracketed paste) is one message however many lines it has, and
  // a line that ends in a backslash goes on in the next. Ctrl-C, Ctrl-\ and TERM interrupt
  // (interrupt.h); Ctrl-D on an empty line is the end.
  TypedMessage read();

 private:
  TypedMessage read_line(bool first);

  const std::function<bool()> goes_on_;
  bool stopped_ = false;
  struct Editor;
  std::unique_ptr<Editor> editor_;
};

}  // namespace potluck
