// Makes the Backend of a device by its name, where this build has that kind of device.
#pragma once

#include <memory>
#include <string>

#include "backends/backend.h"
#include "backends/cpu/cpu_options.h"
#include "topology/base/dtype.h"

namespace potluck {

// A device and how it is to be used. Each kind of device has options of its own, which the others
// do not look at.
struct DeviceOptions {
  std::string device = "cpu";  // "cpu", "cuda:0", "hip:0"
  Precision precision = Precision::exact;
  CpuOptions cpu;
  bool ranges = false;  // a card names what it runs for a profiler (gpu/ranges.h)
};

// Throws Fault{input} for what this build or machine does not have, naming what it has.
std::unique_ptr<Backend> make_backend(const DeviceOptions& options);

}  // namespace potluck
