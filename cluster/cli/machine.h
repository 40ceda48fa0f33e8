// main prepares for what a machine may do to the process, and no command can foresee.
#pragma once

#include <string>

namespace potluck {

// Lets this process have as many descriptors as its hard limit allows. Throws Fault{world} if those
// are too few for links and files: libraries hang or abort where there are none.
void raise_descriptor_limit();

// From now on, a model file that is cut off while it is mapped ends the process with a line that
// names it and exit code 3. Reading such a file is a SIGBUS otherwise.
void catch_cut_files();

// This program, to start it once more; also where there is no /proc.
std::string own_program();

}  // namespace potluck
