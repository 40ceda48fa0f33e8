// libzmq ends the process where it cannot start a thread or open a descriptor of its own: this asks
// first.
#pragma once

namespace potluck {

// Throws Fault{world} if there is no room left for a transport's threads and descriptors.
void check_room();

}  // namespace potluck
