// Blocks of ggml's low-bit types as f32; dequantize.h calls these. Each source function has its
// format.
#pragma once

#include <cstdint>

namespace potluck::cpu::low_bit {

// x[0, values of a block) = the block at b.
void iq2_xxs(const uint8_t* b, float* x);
void iq2_xs(const uint8_t* b, float* x);
void iq2_s(const uint8_t* b, float* x);
void iq3_xxs(const uint8_t* b, float* x);
void iq3_s(const uint8_t* b, float* x);
void iq1_s(const uint8_t* b, float* x);
void iq1_m(const uint8_t* b, float* x);
void mxfp4(const uint8_t* b, float* x);

}  // namespace potluck::cpu::low_bit
