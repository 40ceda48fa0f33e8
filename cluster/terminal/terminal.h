// The terminal that a person sits at.
#pragma once

#include <termios.h>

#include <string>

namespace potluck {

struct Screen {
  int columns = 80, rows = 24;
};
// The size of the terminal at stderr; 80 × 24 if stderr is none or does not tell its size.
Screen stderr_screen();

// Notes how the terminal is set before it is changed for the first time, so that a sudden end
// (interrupt.h) puts it back.
void remember_terminal();

// Reads all that was typed and not read yet, a line that Enter did not end included.
std::string typed_ahead();

// While it lives, typed text does not show and waits to be read. Ctrl-C still works.
class EchoOff final {
 public:
  explicit EchoOff(bool wanted);
  ~EchoOff();
  EchoOff(const EchoOff&) = delete;
  EchoOff& operator=(const EchoOff&) = delete;

 private:
  bool changed_ = false;
  termios before_ = {};
};

}  // namespace potluck
