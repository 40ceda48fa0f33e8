// The values of 16-bit floats, for which kernels ask so often that the emulator looks them up.
#pragma once

#include <cstdint>

namespace potluck::emulator {

float f16_value(uint16_t bits);

}  // namespace potluck::emulator
