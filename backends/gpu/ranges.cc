// Opens the profilers' libraries by the names that their packages have given them.
#include "backends/gpu/ranges.h"

#include "topology/base/fault.h"

namespace potluck {
namespace {

bool is_hip(const std::string& device) {
  return device.find("hip") != std::string::npos;
}

std::unique_ptr<SharedLibrary> open_library(const std::string& device) {
  if (is_hip(device))
    return open_first({"libroctx64.so.4", "librocprofiler-sdk-roctx.so.1"},
                      Fault(FaultKind::world, "ranges for rocprof need libroctx64.so.4",
                            Fix{"install AMD's roctracer, or leave --ranges out"}));
  return open_first({"libnvToolsExt.so.1", "libnvtx3interop.so.1", "libnvtx3interop.so"},
                    Fault(FaultKind::world, "ranges for Nsight Systems need libnvToolsExt.so.1",
                          Fix{"install NVIDIA's NVTX, or leave --ranges out"}));
}

}  // namespace

Ranges::Ranges(const std::string& device) : library_(open_library(device)) {
  library_->find(is_hip(device) ? "roctxRangePushA" : "nvtxRangePushA", begin_);
  library_->find(is_hip(device) ? "roctxRangePop" : "nvtxRangePop", end_);
}

}  // namespace potluck
