// Bounds the operations of a launch by what the slowest unit with a display computes in that time.
#include "backends/gpu/watchdog.h"

#include <limits>

namespace potluck {
namespace {

// The slowest unit that drives a display is that of a GT 1030: 128 lanes at 1.2 GHz, 310 GFLOP/s. A
// kernel of sums in f32 that opens stored weights on the way gets at least a fortieth of that, one
// in f16 an eighth, matrix units or not.
constexpr double kUnitFlops = 8e9, kUnitFlopsF16 = 40e9;  // in a second

}  // namespace

double most_flops(const GpuFacts& facts, Precision precision) {
  if (!facts.has_watchdog) return std::numeric_limits<double>::infinity();
  const double unit = precision == Precision::fast ? kUnitFlopsF16 : kUnitFlops;
  return kLaunchSecondsMost * unit * facts.units;
}

}  // namespace potluck
