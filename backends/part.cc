// Names the parts of a step.
#include "backends/part.h"

#include <cstddef>

namespace potluck {

const char* part_name(Part part) {
  constexpr const char* kNames[kParts] = {"projections", "attention", "router",       "experts",
                                          "dense",       "norms",     "conditioning", "head",
                                          "sampling",    "hop"};
  return kNames[static_cast<size_t>(part)];
}

}  // namespace potluck
