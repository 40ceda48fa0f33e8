// A process that another machine has started ends when that one goes, by its stdin.
#pragma once

namespace potluck {

// Whoever starts a process on another machine says so often by its stdin that it is still there:
// when the cable between them is pulled, nothing ends there.
inline constexpr double kPulseSeconds = 3;
inline constexpr double kStarterSilenceSeconds = 15;  // as long as ssh waits on this side

// From now on this process ends when its stdin does, or when nothing more comes of what has come
// before: as by TERM (interrupt.h), and at once if it has not a few seconds later. Nobody else may
// read stdin.
void end_with_stdin();

inline constexpr char kEndWithStdinHelp[] =
    "end when stdin closes, so that nothing is left here when the machine that started this goes";

}  // namespace potluck
