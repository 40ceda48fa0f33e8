// Products of matrices by the 32 lanes of a warp, c += a · b, as kernels/gpu/device/gpu.h defines
// them: in the layout of PTX's mma.m16n8k16 (f16) and m16n8k32 (s8), and in that of RDNA3's WMMA
// 16×16×16. Products of f16 are summed in double and rounded once; cards truncate sums, each in its
// own way.
#pragma once

#include <cstdint>

#include "tests/emulator/warp.h"

namespace potluck::emulator {

// Throws std::logic_error if the card does not have what is called.
void check_matrix_units(bool has, Site site);

void mma_f16(float* c, const uint32_t* a, const uint32_t* b, Site site);
void mma_s8(int32_t* c, const uint32_t* a, const uint32_t* b, Site site);

// Lanes l and l + 16 must hold the same words of a and b; std::logic_error if they do not.
void wmma_f16(float* c, const uint32_t* a, const uint32_t* b, Site site);
void wmma_s8(int32_t* c, const uint32_t* a, const uint32_t* b, Site site);

// ldmatrix of four matrices: first each lane's row is checked, then the lanes exchange the values
// of their rows. Throws std::logic_error if the row is not aligned to 16 bytes or not in a shared
// array of the block.
void check_matrix_row(const void* row, Site site);
void exchange_matrices(const uint16_t (&row)[8], bool transposed, uint32_t (&to)[4], Site site);

}  // namespace potluck::emulator
