// Asks the kernel for the name.
#include "cluster/cli/host_name.h"

#include <unistd.h>

#include <array>

#include "coordinator/membership/admission.h"

namespace potluck {

std::string host_name() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0 || !name[0]) return "a machine";
  return std::string(name.data()).substr(0, kGuestNameMax);
}

}  // namespace potluck
