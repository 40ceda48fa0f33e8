// Rows as products in f16 take them.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/gpu/fast/f16_rows.h"
#include "tests/emulator/emulator.h"

namespace potluck {

struct F16Operand {
  std::vector<uint16_t> values;  // [rows, f16_stride(n)], at 16 bytes
  std::vector<float> scale;      // [rows]

  F16Operand(emulator::Vendor vendor, const float* x, int64_t rows, int64_t n)
      : values(rows * gpu::f16_stride(n)), scale(rows) {
    emulator::run(vendor, {static_cast<int>(rows)},
                  gpu::F16Rows{x, values.data(), scale.data(), n, gpu::f16_stride(n)});
  }
};

}  // namespace potluck
