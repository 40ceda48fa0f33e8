// A process that another machine has started ends when that one goes, by its stdin.
#pragma once

namespace potluck {

// From now on this process ends when its stdin does: as by TERM (interrupt.h), and at once if it
// has not a few seconds later. Nobody else may read stdin.
void end_with_stdin();

inline constexpr char kEndWithStdinHelp[] =
    "end when stdin closes, so that nothing is left here when the machine that started this goes";

}  // namespace potluck
