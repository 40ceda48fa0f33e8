// Rows as int8 in blocks of 32, for products that multiply in int8.
#pragma once

#include <cstdint>

namespace potluck::gpu {

// `scale` multiplies the levels of a block, and `sum` is the sum of its values, which is exact.
struct alignas(8) Q8Scale {
  float scale, sum;
};

// q[t, i] = round(x[t, i] / scale[t, i / 32]), scale = the block's largest value / 127, rounded up
// to 12 bits; blocks below 10⁻³⁰ are 0.  x, q: [rows, n], scale: [rows, n / 32]; n: whole blocks. A
// block of threads takes a row.
struct Q8Rows {
  const float* x;
  int8_t* q;
  Q8Scale* scale;
  int64_t n;
};

}  // namespace potluck::gpu
