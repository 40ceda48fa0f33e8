// Ctrl-C, Ctrl-\, TERM and HUP (the terminal was closed) are remembered and looked at between
// events, so that none of them ends the program in the middle of one.
#pragma once

namespace potluck {

// From now on INT, QUIT and TERM are remembered, and HUP if it was not ignored. The same signal a
// second time ends the process at once, but for HUP.
void catch_interrupts();
// That end calls `put_back` first, in the signal's handler.
void before_sudden_end(void (*put_back)());
int interrupt_signal();  // the signal that came; 0 if none did
void clear_interrupt();  // forgets it and catches the next: in a chat it stops an answer alone

}  // namespace potluck
