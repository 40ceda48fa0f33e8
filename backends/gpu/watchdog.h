// How much work a launch may have. A display's driver ends a kernel that runs too long: after 2 s
// on Windows, after some seconds under X11, and the display stands still meanwhile. So on a card
// that drives one no launch takes over 100 ms, as far as arithmetic can tell.
//
// Products, experts, attention and sums over the vocabulary are cut by rows; a row's bits do not
// depend on those beside it. All other kernels are bound by memory, and the slowest that a card
// with a display has gives 16 GB/s (the GT 1030 with DDR4): a pass of 2,048 rows of 8,192 values
// moves 134 MB in 8 ms, and re-tiling an expert, 8 MB, takes 1 ms.
#pragma once

#include "backends/gpu/gpu_driver.h"
#include "topology/base/dtype.h"

namespace potluck {

inline constexpr double kLaunchSecondsMost = 0.1;

// The operations of a launch at most, or infinity where no display is in the way.
double most_flops(const GpuFacts& facts, Precision precision);

}  // namespace potluck
