// Decides how an answer is shown: a canvas needs a terminal, and colour one that shows it.
#include "cluster/terminal/display.h"

#include <unistd.h>

namespace potluck {
namespace {

Show show_of(const DisplayFlags& flags, bool terminal) {
  if (flags.show.empty()) return terminal && !flags.json ? Show::canvas : Show::text;
  return flags.show == "canvas" ? Show::canvas : flags.show == "text" ? Show::text : Show::none;
}

}  // namespace

Display display_of(const DisplayFlags& flags, const Surroundings& surroundings) {
  Display display;
  display.stderr_terminal = isatty(STDERR_FILENO) && !surroundings.dumb_terminal;
  display.stdout_terminal = isatty(STDOUT_FILENO);
  display.show = show_of(flags, display.stderr_terminal);
  const bool wanted = display.stderr_terminal && !surroundings.no_color;
  display.color = flags.color == "always" || (flags.color == "auto" && wanted);
  display.json = flags.json;
  return display;
}

}  // namespace potluck
