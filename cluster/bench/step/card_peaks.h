// The peaks of a card, measured: of reading and copying its memory, of its matrix units (or of the
// instructions that stand in for them), and of copying to it.
#pragma once

#include "backends/gpu/gpu_backend.h"

namespace potluck {

struct CardPeaks {
  double read = 0, copy = 0;  // bytes a second; of a copy, read and written ones added
  double f16 = 0, s8 = 0;     // operations a second, a multiplication and an addition being two
};

// Take a part of the memory that is free, which the backend keeps. Throw Fault{memory | world}.
CardPeaks card_peaks(GpuBackend& backend);
double copy_in_rate(GpuBackend& backend);  // bytes a second from pinned memory

}  // namespace potluck
