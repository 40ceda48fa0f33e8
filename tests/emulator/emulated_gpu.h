// The emulator's side of kernels/gpu/device/gpu.h: what a kernel calls when g++ compiles it for the
// CPU. GPU_WAVE is 32 or 64; kernels are compiled once for each, under names of their own.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "tests/emulator/copies.h"
#include "tests/emulator/mma.h"
#include "tests/emulator/warp.h"
#include "topology/base/dtype.h"

#define GPU_DEVICE [[maybe_unused]] static inline
#define GPU_UNROLL
#define GPU_ROLLED
#ifndef GPU_WAVE  // a test calls functions of kernels itself
#define GPU_WAVE 32
#endif
#if GPU_WAVE == 64
#define GPU_EMULATED(name) emulated_hip_##name
#else
#define GPU_EMULATED(name) emulated_cuda_##name
#endif
#define GPU_KERNEL(name, Args, threads)                      \
  static void name##_thread(const Args& a);                  \
  extern "C" void GPU_EMULATED(name)(const void* operands) { \
    name##_thread(*static_cast<const Args*>(operands));      \
  }                                                          \
  static void name##_thread([[maybe_unused]] const Args& a)
#define GPU_KERNEL_OF_BLOCKS(name, Args, threads, blocks) GPU_KERNEL(name, Args, threads)
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
inline int opaque(int x) {
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
  return f32_from_f16(bits);
}
inline uint16_t float_to_f16(float x) {
  return f16_from_f32(x);
}
inline uint32_t pack_f16(float low, float high) {
  return float_to_f16(low) | uint32_t{float_to_f16(high)} << 16;
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

constexpr int kWave = GPU_WAVE;
// The layouts of PTX, or of RDNA3.
constexpr bool kHasMma = true;
#if GPU_WAVE == 64
constexpr bool kMmaMirrors = true;
#else
constexpr bool kMmaMirrors = false;
#endif
constexpr int kMmaColumns = kMmaMirrors ? 16 : 8;
constexpr int kMmaF16Depth = 16, kMmaS8Depth = kMmaMirrors ? 16 : 32;
template <int kSums, int kA, int kB>
inline void mma_f16(float (&c)[kSums], const uint32_t (&a)[kA], const uint32_t (&b)[kB],
                    emulator::Site site = emulator::Site::current()) {
  static_assert(kMmaMirrors ? kSums == 8 && kA == 8 && kB == 8 : kSums == 4 && kA == 4 && kB == 2);
  (kMmaMirrors ? emulator::wmma_f16 : emulator::mma_f16)(c, a, b, site);
}
template <int kSums, int kA, int kB>
inline void mma_s8(int32_t (&c)[kSums], const uint32_t (&a)[kA], const uint32_t (&b)[kB],
                   emulator::Site site = emulator::Site::current()) {
  static_assert(kMmaMirrors ? kSums == 8 && kA == 4 && kB == 4 : kSums == 4 && kA == 4 && kB == 2);
  (kMmaMirrors ? emulator::wmma_s8 : emulator::mma_s8)(c, a, b, site);
}

// The row is read here, where sanitizers look.
template <bool kTransposed>
inline void load_matrices(uint32_t (&to)[4], const void* row,
                          emulator::Site site = emulator::Site::current()) {
  emulator::check_matrix_row(row, !kMmaMirrors, site);
  uint16_t values[8];
  for (int i = 0; i < 8; ++i) values[i] = static_cast<const uint16_t*>(row)[i];
  emulator::exchange_matrices(values, kTransposed, to, site);
}

}  // namespace
}  // namespace potluck::gpu
