// The emulator's side of kernels/gpu/device/gpu.h: what a kernel calls when g++ compiles it for the
// CPU. Kernels are compiled for each of vendor.h's vendors, which GPU_VENDOR names, under names of
// their own.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "tests/emulator/copies.h"
#include "tests/emulator/f16.h"
#include "tests/emulator/mma.h"
#include "tests/emulator/vendor.h"
#include "tests/emulator/warp.h"
#include "topology/base/dtype.h"

#define GPU_DEVICE [[maybe_unused]] static inline
#define GPU_UNROLL
#define GPU_ROLLED
#ifndef GPU_VENDOR  // a test calls functions of kernels itself
#define GPU_VENDOR cuda
#endif
#define GPU_EMULATED(vendor, name, Args)                             \
  extern "C" void emulated_##vendor##_##name(const void* operands) { \
    name##_thread(*static_cast<const Args*>(operands));              \
  }
#define GPU_EMULATED_BY(vendor, name, Args) GPU_EMULATED(vendor, name, Args)
// Kernels that know no matrix units are the same for all cards with warps of 32.
#ifdef GPU_ALL_OF_32
#define GPU_NAMES(name, Args)    \
  GPU_EMULATED(cuda, name, Args) \
  GPU_EMULATED(rdna, name, Args) \
  GPU_EMULATED(pascal, name, Args)
#else
#define GPU_NAMES(name, Args) GPU_EMULATED_BY(GPU_VENDOR, name, Args)
#endif
#define GPU_KERNEL(name, Args, threads)     \
  static void name##_thread(const Args& a); \
  GPU_NAMES(name, Args)                     \
  static void name##_thread([[maybe_unused]] const Args& a)
#define GPU_KERNEL_OF_BLOCKS(name, Args, threads, blocks) GPU_KERNEL(name, Args, threads)
#define GPU_TABLE [[maybe_unused]] static constexpr
// Shared memory of this place in the code, one for each block.
#define GPU_SHARED(Type, name, extents)                                                           \
  using name##_type = Type extents;                                                               \
  static constexpr emulator::SharedArray name##_array{#name, __FILE__, __LINE__,                  \
                                                      sizeof(name##_type), alignof(name##_type)}; \
  name##_type& name = *static_cast<name##_type*>(emulator::shared_memory(name##_array))

namespace potluck::gpu {
namespace {

inline int thread() {
  return emulator::here().thread;
}
inline int block_x() {
  return emulator::here().block_x;
}
inline int block_y() {
  return emulator::here().block_y;
}
inline void barrier(emulator::Site site = emulator::Site::current()) {
  emulator::barrier(site);
}
inline void warp_sync(emulator::Site site = emulator::Site::current()) {
  emulator::warp_sync(site);
}
inline int shuffle(int value, int from, emulator::Site site = emulator::Site::current()) {
  return emulator::shuffle(value, from, site);
}
inline uint32_t ballot(bool set, emulator::Site site = emulator::Site::current()) {
  return emulator::ballot(set, site);
}
inline int count_bits(uint32_t bits) {
  return std::popcount(bits);
}
inline int32_t atomic_add(int32_t* to, int32_t value) {
  return emulator::atomic_add(to, value);
}

inline void keep_order() {}
inline int32_t uniform(int32_t value, emulator::Site site = emulator::Site::current()) {
  return emulator::uniform(value, site);
}
template <typename Value>
inline Value load_uniform(const void* p) {
  return *static_cast<const Value*>(p);
}
inline uint32_t pick_bytes(const uint32_t (&table)[4], uint32_t numbers) {
  uint32_t picked = 0;
  for (int i = 0; i < 32; i += 8) {
    const uint32_t number = numbers >> i & 255;
    picked |= (table[number / 4] >> (number % 4 * 8) & 255) << i;
  }
  return picked;
}
template <typename Value>
inline Value opaque(Value x) {
  return x;
}
inline int dot4(int a, int b, int sum) {
  for (int i = 0; i < 32; i += 8) sum += static_cast<int8_t>(a >> i) * static_cast<int8_t>(b >> i);
  return sum;
}

inline uint32_t bits_of(float x) {
  return std::bit_cast<uint32_t>(x);
}
inline float float_of(uint32_t bits) {
  return std::bit_cast<float>(bits);
}
inline uint64_t bits_of(double x) {
  return std::bit_cast<uint64_t>(x);
}
inline double double_of(uint64_t bits) {
  return std::bit_cast<double>(bits);
}
inline float f16_to_float(uint16_t bits) {
  return emulator::f16_value(bits);
}
inline uint16_t float_to_f16(float x) {
  return f16_from_f32(x);
}
inline uint32_t pack_f16(float low, float high) {
  return float_to_f16(low) | uint32_t{float_to_f16(high)} << 16;
}
// f32 has more than twice the bits of f16, so rounding by way of it is rounding once.
template <typename Operation>
inline uint32_t of_halves(uint32_t a, uint32_t b, Operation operation) {
  uint32_t word = 0;
  for (int shift = 0; shift < 32; shift += 16)
    word |= uint32_t{f16_from_f32(operation(f16_to_float(a >> shift), f16_to_float(b >> shift)))}
            << shift;
  return word;
}
inline uint32_t subtract_f16x2(uint32_t a, uint32_t b) {
  return of_halves(a, b, [](float x, float y) { return x - y; });
}
inline uint32_t multiply_f16x2(uint32_t a, uint32_t b) {
  return of_halves(a, b, [](float x, float y) { return x * y; });
}
inline uint32_t bytes_to_f16x2(uint32_t bytes, int pair) {
  const uint32_t both = bytes >> (16 * pair);
  return (both & 255) | (both >> 8 & 255) << 16 | 0x64006400u;
}
inline float fma(float a, float b, float c) {
  return std::fma(a, b, c);
}
inline float sqrt(float x) {
  return std::sqrt(x);
}
inline float round_to_even(float x) {
  return std::nearbyint(x);
}
inline float fast_exp2(float x) {
  return std::exp2(x);
}

inline void copy16(void* to, const void* from, bool inside = true,
                   emulator::Site site = emulator::Site::current()) {
  emulator::copy16(to, from, inside, site);
}
inline void commit_copies() {
  emulator::commit_copies();
}
template <int kPending>
inline void wait_copies() {
  emulator::wait_copies(kPending);
}

constexpr auto kVendor = emulator::Vendor::GPU_VENDOR;
constexpr int kWave = emulator::lanes_of_a_warp(kVendor);
constexpr bool kHasMma = emulator::has_matrix_units(kVendor);
// The layouts of PTX, or of RDNA3.
constexpr bool kMmaMirrors = kVendor == emulator::Vendor::hip || kVendor == emulator::Vendor::rdna;
constexpr int kMmaColumns = kMmaMirrors ? 16 : 8;
constexpr int kMmaF16Depth = 16, kMmaS8Depth = kMmaMirrors ? 16 : 32;
template <int kSums, int kA, int kB>
inline void mma_f16(float (&c)[kSums], const uint32_t (&a)[kA], const uint32_t (&b)[kB],
                    emulator::Site site = emulator::Site::current()) {
  static_assert(kMmaMirrors ? kSums == 8 && kA == 8 && kB == 8 : kSums == 4 && kA == 4 && kB == 2);
  emulator::check_matrix_units(kHasMma, site);
  (kMmaMirrors ? emulator::wmma_f16 : emulator::mma_f16)(c, a, b, site);
}
template <int kSums, int kA, int kB>
inline void mma_s8(int32_t (&c)[kSums], const uint32_t (&a)[kA], const uint32_t (&b)[kB],
                   emulator::Site site = emulator::Site::current()) {
  static_assert(kMmaMirrors ? kSums == 8 && kA == 4 && kB == 4 : kSums == 4 && kA == 4 && kB == 2);
  emulator::check_matrix_units(kHasMma, site);
  (kMmaMirrors ? emulator::wmma_s8 : emulator::mma_s8)(c, a, b, site);
}

// The row is read here, where sanitizers look.
template <bool kTransposed>
inline void load_matrices(uint32_t (&to)[4], const void* row,
                          emulator::Site site = emulator::Site::current()) {
  emulator::check_matrix_units(kHasMma && !kMmaMirrors, site);
  emulator::check_matrix_row(row, site);
  uint16_t values[8];
  for (int i = 0; i < 8; ++i) values[i] = static_cast<const uint16_t*>(row)[i];
  emulator::exchange_matrices(values, kTransposed, to, site);
}

}  // namespace
}  // namespace potluck::gpu
