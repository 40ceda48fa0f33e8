// Bad input must end in a Fault{input} and in nothing else; every fuzz target checks that here.
#pragma once

#include <functional>

#include "topology/base/check.h"
#include "topology/base/fault.h"

namespace potluck {

// Whether the input was refused.
inline bool refused(const std::function<void()>& read) {
  try {
    read();
    return false;
  } catch (const Fault& fault) {
    CHECK(fault.kind() == FaultKind::input, fault.what());
    return true;
  }
}

}  // namespace potluck
