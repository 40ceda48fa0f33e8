// Asks the terminal for its size, and turns its echo off.
#include "cluster/terminal/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

namespace potluck {

Screen stderr_screen() {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0)
    return {};
  return {size.ws_col, size.ws_row};
}

// A process in the background must not set the terminal: the kernel would stop it.
EchoOff::EchoOff(bool wanted) {
  if (!wanted || tcgetpgrp(STDIN_FILENO) != getpgrp() || tcgetattr(STDIN_FILENO, &before_) != 0)
    return;
  termios quiet = before_;
  quiet.c_lflag &= ~(ECHO | ECHONL);
  quiet.c_lflag |= NOFLSH;  // else Ctrl-C drops output, and the rows that were counted are wrong
  quiet.c_cc[VEOF] = _POSIX_VDISABLE;  // Ctrl-D waits with the rest
  changed_ = tcsetattr(STDIN_FILENO, TCSANOW, &quiet) == 0;
}

EchoOff::~EchoOff() {
  if (changed_) tcsetattr(STDIN_FILENO, TCSANOW, &before_);
}

}  // namespace potluck
