// The terminal that a person sits at.
#pragma once

#include <termios.h>

namespace potluck {

struct Screen {
  int columns = 80, rows = 24;
};
// Of the terminal that stderr is; 80 × 24 if it is none or does not say.
Screen stderr_screen();

// While it lives, what is typed does not show (Ctrl-C still works) and waits to be read.
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
