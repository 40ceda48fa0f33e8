// What a 16-bit float is worth. Kernels ask so often that the emulator looks it up.
#pragma once

#include <cstdint>

namespace potluck::emulator {

float f16_value(uint16_t bits);

}  // namespace potluck::emulator
