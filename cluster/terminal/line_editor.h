// LineEditor: messages from a terminal. On stderr when that is a terminal too, with editing and a
// history of this run (libedit); else as the terminal gives its lines.
#pragma once

#include <memory>
#include <string>

namespace potluck {

struct TypedMessage {
  enum class Kind { message, interrupted, end } kind = Kind::end;
  std::string text;  // UTF-8, without the last newline
};

class LineEditor final {
 public:
  // edit: stdin and stderr are terminals that can move the cursor.
  explicit LineEditor(bool edit);
  ~LineEditor();

  // Waits for Enter. A pasted text (bracketed paste) is one message however many lines it has, and
  // a line that ends in a backslash goes on in the next. Ctrl-C, Ctrl-\ or TERM: interrupted, see
  // interrupt.h. Ctrl-D on an empty line: end.
  TypedMessage read();

 private:
  TypedMessage read_line(bool first);

  struct Editor;
  std::unique_ptr<Editor> editor_;
};

}  // namespace potluck
