// The kinds of card that the emulator has.
#pragma once

#include <cstdint>

namespace potluck::emulator {

// Warps of 32 lanes with the matrix units of CUDA's cards; warps of 64 without any, as AMD's chips
// before RDNA have; warps of 32 with the matrix units of RDNA3; warps of 32 without any, as
// NVIDIA's cards before Turing and AMD's of RDNA2 have.
enum class Vendor : uint8_t { cuda, hip, rdna, pascal };

inline constexpr Vendor kVendors[] = {Vendor::cuda, Vendor::hip, Vendor::rdna, Vendor::pascal};
// One for each size of warps: what knows no matrix units is the same on all cards of one size.
inline constexpr Vendor kWarpSizes[] = {Vendor::cuda, Vendor::hip};
inline constexpr int kVendorCount = sizeof(kVendors);

constexpr const char* name_of(Vendor vendor) {
  constexpr const char* kNames[] = {"cuda", "hip", "rdna", "pascal"};
  return kNames[static_cast<int>(vendor)];
}
constexpr int lanes_of_a_warp(Vendor vendor) {
  return vendor == Vendor::hip ? 64 : 32;
}
constexpr bool has_matrix_units(Vendor vendor) {
  return vendor == Vendor::cuda || vendor == Vendor::rdna;
}

}  // namespace potluck::emulator
