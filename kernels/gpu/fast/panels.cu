// A block re-tiles a part: a thread has a quad of levels, and the scales of a row.
#include "kernels/gpu/device/dequantize.h"
#include "kernels/gpu/device/gpu.h"
#include "kernels/gpu/fast/panel_layout.h"
#include "kernels/gpu/fast/panels.h"

namespace potluck::gpu {

constexpr int kPanelsThreads = 64;
static_assert(kPanelsThreads == kPanelRows);

GPU_DEVICE int nibble_at(const uint8_t* bytes, int64_t i, int high) {
  return bytes[i] >> (4 * high) & 15;
}
GPU_DEVICE int bit_at(const uint8_t* bytes, int64_t i) {
  return bytes[i / 8] >> (i % 8) & 1;
}

// The bits of a level as the formats of 32 columns have them (kernels/gpu/device/dequantize.h).
GPU_DEVICE int level_of_32(Stored type, const uint8_t* b, int i) {
  switch (type) {
    case Stored::q8_0:
      return b[2 + i];
    case Stored::q5_0:
      return nibble_at(b + 6, i % 16, i / 16) | bit_at(b + 2, i) << 4;
    case Stored::q5_1:
      return nibble_at(b + 8, i % 16, i / 16) | bit_at(b + 4, i) << 4;
    default:  // q4_0, iq4_nl
      return nibble_at(b + 2, i % 16, i / 16);
  }
}
// And those of 256.
GPU_DEVICE int level_of_256(Stored type, const uint8_t* b, int i) {
  const int group = i / 32, l = i % 32;
  switch (type) {
    case Stored::q4_k:
      return nibble_at(b + 16 + group / 2 * 32, l, group % 2);
    case Stored::q5_k:
      return nibble_at(b + 48 + group / 2 * 32, l, group % 2) | (b[16 + l] >> group & 1) << 4;
    default:  // q6_k
      return nibble_at(b + i / 128 * 64 + group % 2 * 32, l, group % 4 / 2) |
             (b[128 + i / 128 * 32 + l] >> (group % 4 * 2) & 3) << 4;
  }
}

// Part of a panel that a block writes, out of the rows of a matrix.
struct PanelPart {
  PanelFormat format;
  int64_t panel, block;
  uint8_t *super, *part;
};

GPU_DEVICE const uint8_t* source_of(const Panels& a, const PanelPart& at, int row) {
  const int64_t source = panel_source(at.panel, row, a.w.rows);
  if (source >= a.w.rows) return nullptr;
  const bool is_wide = panel_super_bytes(at.format) != 0;
  const int64_t block = is_wide ? at.block / 8 : at.block;
  const int64_t blocks = a.w.columns / (is_wide ? 256 : 32);
  return a.w.blocks + source * a.w.row_bytes + block * (a.w.row_bytes / blocks);
}

// Levels 4·half … 4·half + 3 of a cell, a byte each; zeros for a row that is missing.
GPU_DEVICE uint32_t levels_of(const Panels& a, const PanelPart& at, PanelCell cell, int half) {
  const uint8_t* b = source_of(a, at, cell.row);
  if (!b) return 0;
  const PanelFormat format = at.format;
  const uint32_t middle = format.is_signed && format.bits < 8 ? 1u << (format.bits - 1) : 0;
  uint32_t levels = 0;
  GPU_ROLLED
  for (int c = 0; c < 4; ++c) {
    const int column = cell.columns * 8 + 4 * half + c;
    const uint32_t level = panel_super_bytes(format)
                               ? level_of_256(a.w.type, b, at.block % 8 * 32 + column)
                               : level_of_32(a.w.type, b, column);
    levels |= (level ^ middle) << (8 * c);
  }
  return levels;
}

GPU_DEVICE void write_levels(const Panels& a, const PanelPart& at, int quad) {
  const int bits = at.format.bits, more = bits - 4;
  uint32_t* low = as<uint32_t>(at.part) + quad * 4;
  uint32_t* high = as<uint32_t>(at.part + 1024) + quad * more;
  uint32_t nibbles = 0, above = 0;
  GPU_ROLLED
  for (int k = 0; k < 8; ++k) {
    const uint32_t levels = levels_of(a, at, panel_cell(quad, k / 2), k % 2);
    if (bits == 8) {
      uint32_t* to = k < 4 ? low : high;
      to[k % 4] = levels;
      continue;
    }
    nibbles |= (levels & 0x0f0f0f0fu) << (4 * (k % 2));
    above |= (levels >> 4 & 0x0f0f0f0fu) << (k * more % 8);
    if (k % 2) {
      low[k / 2] = nibbles;
      nibbles = 0;
    }
    if (more && (k + 1) * more % 8 == 0) {
      high[k * more / 8] = above;
      above = 0;
    }
  }
}

GPU_DEVICE void write_scales(const Panels& a, const PanelPart& at, int row) {
  const int place = panel_place(row), group = at.block % 8;
  const uint8_t* b = source_of(a, at, row);
  uint8_t* scales = at.part + panel_level_bytes(at.format);
  uint8_t* bytes = scales + place / 8 * 16 + place % 8;
  uint16_t* super = as<uint16_t>(at.super) + place;
  const uint16_t* halves = as<const uint16_t>(b);
  switch (at.format.scales) {
    case PanelScales::f16_min:
      as<uint16_t>(scales)[kPanelRows + place] = b ? halves[1] : 0;
      [[fallthrough]];
    case PanelScales::f16:
      as<uint16_t>(scales)[place] = b ? halves[0] : 0;
      return;
    case PanelScales::bytes:
      bytes[0] = b ? b[192 + 2 * group] ^ 128 : 128;
      bytes[8] = b ? b[192 + 2 * group + 1] ^ 128 : 128;
      if (group == 0) *super = b ? halves[104] : 0;
      return;
    case PanelScales::bytes_min:
      const ScaleMin s = b ? scale_min(b + 4, group) : ScaleMin{};
      bytes[0] = s.scale;
      bytes[8] = s.min;
      if (group == 0) {
        super[0] = b ? halves[0] : 0;
        super[kPanelRows] = b ? halves[1] ^ 0x8000 : 0;
      }
  }
}

GPU_KERNEL_OF_BLOCKS(panels, Panels, kPanelsThreads, 16) {
  const PanelFormat format = panel_format(a.w.type);
  uint8_t* panel = a.panels + block_y() * panel_bytes(format, a.w.columns);
  uint8_t* parts = panel + a.w.columns / 256 * panel_super_bytes(format);
  const PanelPart at = {format, block_y(), block_x(),
                        panel + block_x() / 8 * panel_super_bytes(format),
                        parts + int64_t{block_x()} * panel_part_bytes(format)};
  write_levels(a, at, thread());
  write_scales(a, at, thread());
}

}  // namespace potluck::gpu
