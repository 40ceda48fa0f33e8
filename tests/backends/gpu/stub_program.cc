// The emulator as stub drivers find it in a program that opens them: stub_card.cc looks for this
// name.
#include "tests/emulator/emulator.h"

using namespace potluck;

extern "C" void run_stub_launch(bool cuda, int kernel, int grid_x, int grid_y,
                                const void* operands) {
  emulator::run(cuda ? emulator::Vendor::cuda : emulator::Vendor::hip,
                static_cast<gpu::Kernel>(kernel), {grid_x, grid_y}, operands);
}
