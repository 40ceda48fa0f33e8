// Where the levels and scales of a part lie (kernels/gpu/fast/panels.h), and how they are opened.
//
// Levels lie in 64 quads of four cells; a cell is 8 columns of a row. A lane of PTX's matrix units
// has the cells that they want of it in two quads; for all other cards a quad is a row. The first
// 1,024 bytes have a word for each cell: its first four columns in the low nibbles of the bytes,
// the others in the high ones. The bits above follow, a word or two for a quad. Levels of 8 bits
// have two words for a cell, those of the quads' first two cells before all others.
//
// Scales lie in bundles of 8 rows, those that a lane of matrix units has the sums of.
#pragma once

#include "kernels/gpu/device/gpu.h"
#include "kernels/gpu/fast/panels.h"

namespace potluck::gpu {

constexpr bool kPtxLanes = kHasMma && !kMmaMirrors;

struct PanelCell {
  int row, columns;  // columns 8 · columns … 8 · columns + 7 of the part
};
GPU_DEVICE PanelCell panel_cell(int quad, int i) {
  if (!kPtxLanes) return {quad, i};
  return {quad / 32 * 32 + i * 8 + quad % 32 / 4, quad % 4};
}
// Place p is place p % 8 of bundle p / 8.
GPU_DEVICE int panel_place(int row) {
  return kPtxLanes ? row % 8 * 8 + row / 8 : row / 16 * 16 + row % 2 * 8 + row % 16 / 2;
}

// Signed levels of less than 8 bits lie in the upper bits of a byte, so that its sign is theirs.
constexpr int panel_level_shift(PanelFormat format) {
  return format.is_signed ? 8 - format.bits : 0;
}

template <int kCount>
struct alignas(4 * kCount) PanelWords {
  uint32_t word[kCount];
};

template <Stored kType>
constexpr int kPanelMoreBits = panel_format(kType).bits - 4;

template <Stored kType>
struct PanelQuad {
  Words4 low;
  PanelWords<kPanelMoreBits<kType> ? kPanelMoreBits<kType> : 1> more;
};

template <Stored kType>
GPU_DEVICE PanelQuad<kType> load_quad(const uint8_t* part, int quad) {
  PanelQuad<kType> loaded = {as<const Words4>(part)[quad], {}};
  if constexpr (kPanelMoreBits < kType >> 0)
    loaded.more = as<const PanelWords<kPanelMoreBits<kType>>>(part + 1024)[quad];
  return loaded;
}

GPU_DEVICE uint32_t shift_left(uint32_t word, int by) {
  return by < 0 ? word >> -by : word << by;
}

// Columns 4 · half … 4 · half + 3 of cell i of the quad, as int8.
template <Stored kType>
GPU_DEVICE uint32_t open_levels(const PanelQuad<kType>& quad, int i, int half) {
  constexpr PanelFormat kFormat = panel_format(kType);
  constexpr int kAt = panel_level_shift(kFormat), kMore = kPanelMoreBits<kType>;
  const int k = 2 * i + half;
  if constexpr (kFormat.bits == 8) return k < 4 ? quad.low.word[k] : quad.more.word[k % 4];
  uint32_t levels = shift_left(quad.low.word[i], kAt - 4 * half) & (0x0f0f0f0fu << kAt);
  if constexpr (kMore > 0) {
    constexpr uint32_t kMask = ((1u << kMore) - 1) * 0x01010101u << (kAt + 4);
    levels |= shift_left(quad.more.word[k * kMore / 8], kAt + 4 - k * kMore % 8) & kMask;
  }
  if constexpr (kType == Stored::iq4_nl) {
    // −127 −104 −83 −65, −49 −35 −22 −10, 1 13 25 38, 53 69 89 113, a byte each.
    levels = pick_bytes({0xbfad9881u, 0xf6eaddcfu, 0x26190d01u, 0x71594535u}, levels);
  }
  return levels;
}

// `first` multiplies levels; `second` is added, or multiplies those of the last 16 columns where
// there are PanelScales::bytes.
struct RowScale {
  float first, second;
};

template <Stored kType>
constexpr PanelScales kPanelScales = panel_format(kType).scales;
template <Stored kType>
constexpr bool kHasSuperScales = panel_super_bytes(panel_format(kType)) != 0;
template <Stored kType>
constexpr bool kHasMins =
    kPanelScales<kType> == PanelScales::f16_min || kPanelScales<kType> == PanelScales::bytes_min;
// A part has this many sums of levels for each output, one after another in its columns.
template <Stored kType>
constexpr int kPanelGroups = kPanelScales<kType> == PanelScales::bytes ? 2 : 1;

// The scales of the 256 columns that a row of a part lies in; a min is stored with its sign.
template <Stored kType>
GPU_DEVICE RowScale load_super(const uint8_t* super, int place) {
  if constexpr (!kHasSuperScales<kType>) return {};
  const uint16_t* halves = as<const uint16_t>(super);
  return {f16_to_float(halves[place]),
          kHasMins<kType> ? f16_to_float(halves[kPanelRows + place]) : 0};
}
GPU_DEVICE float half_of(const Words4& halves, int i) {
  return f16_to_float(halves.word[i / 2] >> (i % 2 * 16));
}
// The same of a bundle, as they are stored.
template <Stored kType>
struct BundleSupers {
  Words4 words[kHasMins<kType> ? 2 : 1];
};
template <Stored kType>
GPU_DEVICE BundleSupers<kType> load_supers(const uint8_t* super, int bundle) {
  BundleSupers<kType> loaded = {};
  if constexpr (kHasSuperScales<kType>) loaded.words[0] = as<const Words4>(super)[bundle];
  if constexpr (kHasSuperScales<kType> && kHasMins<kType>)
    loaded.words[1] = as<const Words4>(super)[kPanelRows / 8 + bundle];
  return loaded;
}

// The scales of a bundle as they are stored, without those of 256 columns.
template <Stored kType>
struct BundleScales {
  Words4 words[kPanelScales<kType> == PanelScales::f16_min ? 2 : 1];
};
template <Stored kType>
GPU_DEVICE BundleScales<kType> load_scales(const uint8_t* part, int bundle) {
  const Words4* scales = as<const Words4>(part + panel_level_bytes(panel_format(kType)));
  BundleScales<kType> loaded;
  loaded.words[0] = scales[bundle];
  if constexpr (kPanelScales<kType> == PanelScales::f16_min)
    loaded.words[1] = scales[kPanelRows / 8 + bundle];
  return loaded;
}

// Row i of a bundle.
template <Stored kType>
GPU_DEVICE RowScale open_scale(const BundleScales<kType>& bundle, const BundleSupers<kType>& supers,
                               int i) {
  const uint32_t(&words)[4] = bundle.words[0].word;
  if constexpr (kPanelScales<kType> == PanelScales::f16) return {half_of(bundle.words[0], i), 0};
  if constexpr (kPanelScales<kType> == PanelScales::f16_min)
    return {half_of(bundle.words[0], i), half_of(bundle.words[1], i)};
  const float first = byte_to_float(words[i / 4], i % 4);
  const float second = byte_to_float(words[2 + i / 4], i % 4);
  const float super = half_of(supers.words[0], i);
  if constexpr (kHasMins<kType>) return {first * super, second * half_of(supers.words[1], i)};
  return {(first - 128) * super, (second - 128) * super};
}

// The same of one row, by itself.
template <Stored kType>
GPU_DEVICE RowScale load_scale(const uint8_t* part, RowScale super, int place) {
  const uint8_t* scales = part + panel_level_bytes(panel_format(kType));
  const uint16_t* halves = as<const uint16_t>(scales);
  if constexpr (kPanelScales<kType> == PanelScales::f16) return {f16_to_float(halves[place]), 0};
  if constexpr (kPanelScales<kType> == PanelScales::f16_min)
    return {f16_to_float(halves[place]), f16_to_float(halves[kPanelRows + place])};
  const uint8_t* bytes = scales + place / 8 * 16 + place % 8;
  const float first = bytes[0], second = bytes[8];
  if constexpr (kHasMins<kType>) return {first * super.first, second * super.second};
  return {(first - 128) * super.first, (second - 128) * super.first};
}

}  // namespace potluck::gpu
