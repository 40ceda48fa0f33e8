// Display: how an answer is shown, decided from flags, the environment and what the terminal can
// do.
#pragma once

#include <string>

#include "cluster/cli/commands.h"

namespace potluck {

enum class Show { none, text, canvas };

struct Display {
  Show show = Show::text;
  bool color = false;            // escape codes may be written to stderr
  bool stderr_terminal = false;  // stderr is a terminal whose cursor may be moved
  bool stdout_terminal = false;  // stdout is a terminal, which must get no control characters
  bool json = false;             // the answer itself does not go to stdout
  bool estimate = true;          // with Show::text: one line after the first step
  bool endless = false;  // the number of canvases is unknown: the estimate is for one canvas
};

struct DisplayFlags {
  std::string show, color = "auto";
  bool json = false;
};

Display display_of(const DisplayFlags& flags, const Surroundings& surroundings);

}  // namespace potluck
