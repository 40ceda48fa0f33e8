// The one place that knows which flag changes what a fault's fix names.
#pragma once

#include <string>

#include "topology/base/fault.h"

namespace potluck {

// The fault in one line for somebody at a command line: "where: text; fix (flag)".
std::string fault_line(const Fault& fault);

}  // namespace potluck
