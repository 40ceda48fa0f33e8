// The table of needs by kind of device.
#include "topology/plan/needs.h"

#include "topology/plan/cpu_needs.h"
#include "topology/plan/gpu_needs.h"

namespace potluck {
namespace {

constexpr DeviceNeeds kDeviceTable[] = {
    {"cpu", cpu_matrix_bytes, true, cpu_stage_scratch, cpu_head_scratch},
    {"cuda", gpu_matrix_bytes, false, gpu_stage_scratch, gpu_head_scratch},
    {"hip", gpu_matrix_bytes, false, gpu_stage_scratch, gpu_head_scratch},
    {"emulated", gpu_matrix_bytes, false, gpu_stage_scratch, gpu_head_scratch},
};

}  // namespace

const DeviceNeeds& device_needs(const std::string& device) {
  const std::string kind = device.substr(0, device.find(':'));
  for (const DeviceNeeds& row : kDeviceTable)
    if (row.kind == kind) return row;
  return kDeviceTable[0];
}

}  // namespace potluck
