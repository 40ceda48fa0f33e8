// The names that the vendors' packages install. Nothing else is here, so that a test program can be
// linked with an nccl_names() of its own.
#include "transport/nccl/nccl_names.h"

namespace potluck {

std::vector<std::string> nccl_names(const std::string& vendor) {
  if (vendor == "hip") return {"librccl.so.1", "/opt/rocm/lib/librccl.so.1"};
  return {"libnccl.so.2"};
}

}  // namespace potluck
