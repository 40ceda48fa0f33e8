// All that a kernel uses of a GPU has one name here, for CUDA, for HIP and for the emulator of the
// tests. It is the only file of kernels/gpu that asks which of them compiles it; no vendor's header
// is included.
//
// Lanes. Algorithms are written for 32 lanes. Where a wavefront has 64 it holds two groups of 32,
// and what is said here of a warp holds for each group. Lanes that exchange values through shared
// memory call warp_sync() in between: no lane may count on running in step with another.
#pragma once

#include <cstdint>

#if defined(__HIP__)

#define GPU_DEVICE __attribute__((device)) inline __attribute__((always_inline))
#define GPU_KERNEL(name, Args, threads)                                                        \
  extern "C" __attribute__((global, amdgpu_flat_work_group_size(threads, threads))) void name( \
      const Args a)
#define GPU_SHARED(Type, name, extents) __attribute__((shared)) Type name extents
#define GPU_UNROLL _Pragma("unroll")

namespace potluck::gpu {

GPU_DEVICE int thread() {
  return __builtin_amdgcn_workitem_id_x();
}
GPU_DEVICE int block_x() {
  return __builtin_amdgcn_workgroup_id_x();
}
GPU_DEVICE int block_y() {
  return __builtin_amdgcn_workgroup_id_y();
}

GPU_DEVICE void barrier() {
  __builtin_amdgcn_fence(__ATOMIC_RELEASE, "workgroup");
  __builtin_amdgcn_s_barrier();
  __builtin_amdgcn_fence(__ATOMIC_ACQUIRE, "workgroup");
}
GPU_DEVICE void warp_sync() {
  __builtin_amdgcn_fence(__ATOMIC_RELEASE, "wavefront");
  __builtin_amdgcn_wave_barrier();
  __builtin_amdgcn_fence(__ATOMIC_ACQUIRE, "wavefront");
}

GPU_DEVICE int lane_of_wave() {
  return __builtin_amdgcn_mbcnt_hi(~0u, __builtin_amdgcn_mbcnt_lo(~0u, 0));
}
GPU_DEVICE int shuffle(int value, int from) {
  return __builtin_amdgcn_ds_bpermute(((lane_of_wave() & ~31) | from) * 4, value);
}
GPU_DEVICE uint32_t ballot(bool set) {
#if __AMDGCN_WAVEFRONT_SIZE__ == 64
  return __builtin_amdgcn_ballot_w64(set) >> (lane_of_wave() & 32);
#else
  return __builtin_amdgcn_ballot_w32(set);
#endif
}

GPU_DEVICE int count_bits(uint32_t bits) {
  return __builtin_popcount(bits);
}
GPU_DEVICE int32_t atomic_add(int32_t* to, int32_t value) {
  return __hip_atomic_fetch_add(to, value, __ATOMIC_RELAXED, __HIP_MEMORY_SCOPE_AGENT);
}

GPU_DEVICE int dot4(int a, int b, int sum) {
#if defined(__GFX11__) || defined(__GFX12__)
  return __builtin_amdgcn_sudot4(true, a, true, b, sum, false);
#else
  return __builtin_amdgcn_sdot4(a, b, sum, false);
#endif
}

GPU_DEVICE uint32_t bits_of(float x) {
  return __builtin_bit_cast(uint32_t, x);
}
GPU_DEVICE float float_of(uint32_t bits) {
  return __builtin_bit_cast(float, bits);
}
GPU_DEVICE uint64_t bits_of(double x) {
  return __builtin_bit_cast(uint64_t, x);
}
GPU_DEVICE double double_of(uint64_t bits) {
  return __builtin_bit_cast(double, bits);
}
GPU_DEVICE float f16_to_float(uint16_t bits) {
  return __builtin_bit_cast(_Float16, bits);
}
GPU_DEVICE uint16_t float_to_f16(float x) {
  return __builtin_bit_cast(uint16_t, static_cast<_Float16>(x));
}
GPU_DEVICE float fma(float a, float b, float c) {
  return __builtin_fmaf(a, b, c);
}
GPU_DEVICE float sqrt(float x) {
  return __builtin_sqrtf(x);
}
GPU_DEVICE float round_to_even(float x) {
  return __builtin_rintf(x);
}
GPU_DEVICE float fast_exp2(float x) {
  return __builtin_amdgcn_exp2f(x);
}

}  // namespace potluck::gpu

#elif defined(__CUDACC__)

#define GPU_DEVICE __device__ __forceinline__
#define GPU_KERNEL(name, Args, threads) \
  extern "C" __global__ void __launch_bounds__(threads) name(const Args a)
#define GPU_SHARED(Type, name, extents) __shared__ Type name extents
#define GPU_UNROLL _Pragma("unroll")

namespace potluck::gpu {

GPU_DEVICE int thread() {
  return threadIdx.x;
}
GPU_DEVICE int block_x() {
  return blockIdx.x;
}
GPU_DEVICE int block_y() {
  return blockIdx.y;
}
GPU_DEVICE void barrier() {
  __syncthreads();
}
GPU_DEVICE void warp_sync() {
  __syncwarp();
}
GPU_DEVICE int shuffle(int value, int from) {
  return __shfl_sync(~0u, value, from);
}
GPU_DEVICE uint32_t ballot(bool set) {
  return __ballot_sync(~0u, set);
}
GPU_DEVICE int count_bits(uint32_t bits) {
  return __popc(bits);
}
GPU_DEVICE int32_t atomic_add(int32_t* to, int32_t value) {
  return atomicAdd(to, value);
}
GPU_DEVICE int dot4(int a, int b, int sum) {
  return __dp4a(a, b, sum);
}

GPU_DEVICE uint32_t bits_of(float x) {
  return __float_as_uint(x);
}
GPU_DEVICE float float_of(uint32_t bits) {
  return __uint_as_float(bits);
}
GPU_DEVICE uint64_t bits_of(double x) {
  return __double_as_longlong(x);
}
GPU_DEVICE double double_of(uint64_t bits) {
  return __longlong_as_double(bits);
}
GPU_DEVICE float f16_to_float(uint16_t bits) {
  float x;
  asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(bits));
  return x;
}
GPU_DEVICE uint16_t float_to_f16(float x) {
  uint16_t bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
  return bits;
}
GPU_DEVICE float fma(float a, float b, float c) {
  return __fmaf_rn(a, b, c);
}
GPU_DEVICE float sqrt(float x) {
  return __fsqrt_rn(x);
}
GPU_DEVICE float round_to_even(float x) {
  return rintf(x);
}
GPU_DEVICE float fast_exp2(float x) {
  float y;
  asm("ex2.approx.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

}  // namespace potluck::gpu

#else
#include "emulated_gpu.h"
#endif

namespace potluck::gpu {

GPU_DEVICE int lane() {
  return thread() % 32;
}
GPU_DEVICE int warp() {
  return thread() / 32;
}
GPU_DEVICE float shuffle(float value, int from) {
  return float_of(static_cast<uint32_t>(shuffle(static_cast<int>(bits_of(value)), from)));
}
template <typename Value>
GPU_DEVICE Value shuffle_xor(Value value, int mask) {
  return shuffle(value, lane() ^ mask);
}

}  // namespace potluck::gpu
