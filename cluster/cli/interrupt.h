// Ctrl-C, Ctrl-\ and TERM as something to look at between events, instead of a death in the middle.
#pragma once

namespace potluck {

// From now on INT, QUIT and TERM are remembered; the same signal a second time ends the process at
// once.
void catch_interrupts();
int interrupt_signal();  // the signal that came; 0: none
void clear_interrupt();  // forget it and catch again (chat: it stopped an answer, not the program)

}  // namespace potluck
