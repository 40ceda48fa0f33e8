// Asks the terminal for its size, turns its echo off, and puts it back.
#include "cluster/terminal/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "cluster/cli/interrupt.h"

namespace potluck {
namespace {

termios as_it_was;
bool is_remembered = false;

// A process in the background must not set the terminal: the kernel would stop it.
bool in_foreground() {
  return tcgetpgrp(STDIN_FILENO) == getpgrp();
}

// Runs in a signal's handler. The codes end bracketed paste, dim text, and rows that do not wrap.
void put_back() {
  constexpr char kCodes[] = "\x1b[?2004l\x1b[0m\x1b[?7h";
  if (!in_foreground()) return;
  tcsetattr(STDIN_FILENO, TCSANOW, &as_it_was);
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, kCodes, sizeof(kCodes) - 1);
}

}  // namespace

void remember_terminal() {
  if (is_remembered || tcgetattr(STDIN_FILENO, &as_it_was) != 0) return;
  is_remembered = true;
  before_sudden_end(put_back);
}

std::string typed_ahead() {
  constexpr size_t kBytesMax = 1 << 16;
  termios set{};
  if (!in_foreground() || tcgetattr(STDIN_FILENO, &set) != 0) return "";
  termios all = set;
  all.c_lflag &= ~ICANON;
  all.c_cc[VMIN] = all.c_cc[VTIME] = 0;
  tcsetattr(STDIN_FILENO, TCSANOW, &all);
  std::string text(kBytesMax, 0);
  text.resize(std::max<ssize_t>(0, read(STDIN_FILENO, text.data(), text.size())));
  tcsetattr(STDIN_FILENO, TCSANOW, &set);
  return text;
}

Screen stderr_screen() {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0)
    return {};
  return {size.ws_col, size.ws_row};
}

EchoOff::EchoOff(bool wanted) {
  if (!wanted || !in_foreground() || tcgetattr(STDIN_FILENO, &before_) != 0) return;
  remember_terminal();
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
