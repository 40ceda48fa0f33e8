// A table holds the values of all patterns: to read one takes less than to work it out.
#include "tests/emulator/f16.h"

#include <vector>

#include "topology/base/dtype.h"

namespace potluck::emulator {
namespace {

const std::vector<float> kValues = [] {
  std::vector<float> values(1 << 16);
  for (uint32_t bits = 0; bits < values.size(); ++bits)
    values[bits] = f32_from_f16(static_cast<uint16_t>(bits));
  return values;
}();

}  // namespace

float f16_value(uint16_t bits) {
  return kValues[bits];
}

}  // namespace potluck::emulator
