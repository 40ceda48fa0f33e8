// Rows as f16 for products that multiply in f16.
#pragma once

#include <cstdint>

namespace potluck::gpu {

// The rows of x, each divided by a power of two that brings its largest value to [2¹⁴, 2¹⁵) (or
// nearer to it, for rows below 2⁻⁸⁶) and rounded to f16.  x: [rows, n], out: [rows, stride] with
// zeros from n on, scale: [rows], the powers. A block takes a row.
struct F16Rows {
  const float* x;
  uint16_t* out;
  float* scale;
  int64_t n, stride;
};

// n rounded up to whole steps of a product: the stride of its rows.
constexpr int64_t f16_stride(int64_t n) {
  return (n + 31) / 32 * 32;
}

}  // namespace potluck::gpu
