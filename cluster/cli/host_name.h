// The name of this host, for people.
#pragma once

#include <string>

namespace potluck {

// As long as a guest's name may be at most (admission.h).
std::string host_name();

}  // namespace potluck
