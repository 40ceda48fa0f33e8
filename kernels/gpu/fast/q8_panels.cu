// A block copies a part of a panel, a word at a time.
#include "kernels/gpu/device/dequantize.h"
#include "kernels/gpu/device/gpu.h"
#include "kernels/gpu/fast/q8_panels.h"

namespace potluck::gpu {

constexpr int kQ8PanelsThreads = 128;

// Row `row` of a panel as a row of its matrix; −1: it is missing.
GPU_DEVICE int64_t source_row(const Q8Panels& a, int64_t panel, int row) {
  if (a.order == PanelOrder::rows) {
    const int64_t source = panel * kPanelRows + row;
    return source < a.w.rows ? source : -1;
  }
  const int64_t half = a.w.rows / 2, i = panel * (kPanelRows / 2) + row / 16 * 8 + row % 8;
  return i < half ? row / 8 % 2 * half + i : -1;
}

GPU_KERNEL(q8_panels, Q8Panels, kQ8PanelsThreads) {
  const int64_t panels = (a.w.rows + kPanelRows - 1) / kPanelRows, parts = a.w.columns / 32;
  const int64_t matrix = block_y() / panels, panel = block_y() % panels;
  uint8_t* part = a.panels + (block_y() * parts + block_x()) * kPanelBytes;
  for (int i = thread(); i < kPanelRows * 8; i += kQ8PanelsThreads) {
    const int row = i / 8, word = i % 8;
    const int64_t source = source_row(a, panel, row);
    uint32_t q[1] = {};
    uint16_t d = 0;
    if (source >= 0) {
      const uint8_t* block =
          a.w.blocks + (matrix * a.w.rows + source) * a.w.row_bytes + int64_t{block_x()} * 34;
      load_bytes<4, 2>(block + 2 + word * 4, q);
      d = *as<const uint16_t>(block);
    }
    const int m = row / 16, h = row / 8 % 2, g = row % 8;
    const int at = 512 * m + 64 * g + 16 * (word / 2) + 8 * (word % 2) + 4 * h;
    *as<uint32_t>(part + at) = q[0];
    if (word == 0) as<uint16_t>(part + 2048)[8 * g + 2 * m + h] = d;
  }
}

}  // namespace potluck::gpu
