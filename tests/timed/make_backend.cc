// The CPU of a program that is linked with this in place of backends/make_backend.cc is a timed
// device; POTLUCK_TIMED says how fast it is, for each process.
#include "backends/make_backend.h"

#include <cstdlib>

#include "tests/timed/timed_backend.h"
#include "topology/base/fault.h"

namespace potluck {

std::unique_ptr<Backend> make_backend(const DeviceOptions& options) {
  const char* speeds = std::getenv("POTLUCK_TIMED");
  if (options.device != "cpu" || !speeds)
    throw Fault(FaultKind::input, "this program has timed devices alone",
                Fix{"name the device cpu, and its speeds in POTLUCK_TIMED"});
  return std::make_unique<TimedBackend>(parse_speeds(speeds));
}

}  // namespace potluck
