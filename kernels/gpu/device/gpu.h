// All that a kernel uses of a GPU has one name here, for CUDA, for HIP and for the emulator of the
// tests. It is the only file of kernels/gpu that asks which of them compiles it; no vendor's header
// is included.
//
// GPU_KERNEL_OF_BLOCKS is a GPU_KERNEL whose registers let a multiprocessor have `blocks` of it:
// where the compiler is left to choose, it spills a few to have one block more. A GPU_TABLE lies in
// global memory, where each lane may load what it likes.
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
#define GPU_KERNEL_OF_BLOCKS(name, Args, threads, blocks) GPU_KERNEL(name, Args, threads)
#define GPU_SHARED(Type, name, extents) __attribute__((shared)) Type name extents
#define GPU_TABLE static __attribute__((device)) constexpr
#define GPU_UNROLL _Pragma("unroll")
#define GPU_ROLLED _Pragma("unroll 1")

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

template <typename Value>
GPU_DEVICE Value opaque(Value x) {
  asm volatile("" : "+v"(x));
  return x;
}
GPU_DEVICE void keep_order() {
  __builtin_amdgcn_sched_barrier(0);
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

GPU_DEVICE int32_t uniform(int32_t value) {
  return __builtin_amdgcn_readfirstlane(value);
}
template <typename Value>
GPU_DEVICE Value load_uniform(const void* p) {
  using Words = __attribute__((ext_vector_type(sizeof(Value) / 4))) uint32_t;
  using Constant = const __attribute__((address_space(4))) Words*;
  return __builtin_bit_cast(Value, *reinterpret_cast<Constant>(reinterpret_cast<uint64_t>(p)));
}

GPU_DEVICE uint32_t pick_bytes(const uint32_t (&table)[4], uint32_t numbers) {
  const uint32_t in_half = numbers & 0x07070707u,
                 halves = (numbers >> 1 & 0x04040404u) | 0x03020100u;
  const uint32_t low = __builtin_amdgcn_perm(table[1], table[0], in_half);
  const uint32_t high = __builtin_amdgcn_perm(table[3], table[2], in_half);
  return __builtin_amdgcn_perm(high, low, halves);
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
GPU_DEVICE uint32_t pack_f16(float low, float high) {
  return float_to_f16(low) | uint32_t{float_to_f16(high)} << 16;
}
using HalfPair = __attribute__((ext_vector_type(2))) _Float16;
GPU_DEVICE uint32_t subtract_f16x2(uint32_t a, uint32_t b) {
  return __builtin_bit_cast(uint32_t,
                            __builtin_bit_cast(HalfPair, a) - __builtin_bit_cast(HalfPair, b));
}
GPU_DEVICE uint32_t multiply_f16x2(uint32_t a, uint32_t b) {
  return __builtin_bit_cast(uint32_t,
                            __builtin_bit_cast(HalfPair, a) * __builtin_bit_cast(HalfPair, b));
}
GPU_DEVICE uint32_t bytes_to_f16x2(uint32_t bytes, int pair) {
  return __builtin_amdgcn_perm(0x64646464u, bytes, pair ? 0x04030402u : 0x04010400u);
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

// Copies to shared memory are done when they are called.
GPU_DEVICE void copy16(void* to, const void* from, bool inside = true) {
  using Words = __attribute__((ext_vector_type(4))) uint32_t;
  *static_cast<Words*>(to) = inside ? *static_cast<const Words*>(from) : Words{};
}
GPU_DEVICE void commit_copies() {}
template <int kPending>
GPU_DEVICE void wait_copies() {}

constexpr int kWave = __AMDGCN_WAVEFRONT_SIZE__;
template <bool kTransposed>
GPU_DEVICE void load_matrices(uint32_t (&)[4], const void*) {
  __builtin_trap();
}

constexpr bool kMmaMirrors = true;
constexpr int kMmaColumns = 16, kMmaF16Depth = 16, kMmaS8Depth = 16;
// RDNA3 alone: the lanes of RDNA4 hold other parts of a matrix, and its cards do without.
#if defined(__gfx1100__) || defined(__gfx1101__) || defined(__gfx1102__) || \
    defined(__gfx1103__) || defined(__gfx1150__) || defined(__gfx1151__)
constexpr bool kHasMma = true;
GPU_DEVICE void mma_f16(float (&c)[8], const uint32_t (&a)[8], const uint32_t (&b)[8]) {
  using Halves = __attribute__((ext_vector_type(16))) _Float16;
  using Sums = __attribute__((ext_vector_type(8))) float;
  Sums sums;
  __builtin_memcpy(&sums, c, sizeof(c));
  sums = __builtin_amdgcn_wmma_f32_16x16x16_f16_w32(__builtin_bit_cast(Halves, a),
                                                    __builtin_bit_cast(Halves, b), sums);
  // The product stays here, or else its operands would be held until the sums are read.
  asm volatile("" : "+v"(sums));
  __builtin_memcpy(c, &sums, sizeof(c));
}
GPU_DEVICE void mma_s8(int32_t (&c)[8], const uint32_t (&a)[4], const uint32_t (&b)[4]) {
  using Words = __attribute__((ext_vector_type(4))) int;
  using Sums = __attribute__((ext_vector_type(8))) int;
  Sums sums;
  __builtin_memcpy(&sums, c, sizeof(c));
  sums = __builtin_amdgcn_wmma_i32_16x16x16_iu8_w32(true, __builtin_bit_cast(Words, a), true,
                                                    __builtin_bit_cast(Words, b), sums, false);
  __builtin_memcpy(c, &sums, sizeof(c));
}
#else
constexpr bool kHasMma = false;
template <int kSums, int kA, int kB>
GPU_DEVICE void mma_f16(float (&)[kSums], const uint32_t (&)[kA], const uint32_t (&)[kB]) {
  __builtin_trap();
}
template <int kSums, int kA, int kB>
GPU_DEVICE void mma_s8(int32_t (&)[kSums], const uint32_t (&)[kA], const uint32_t (&)[kB]) {
  __builtin_trap();
}
#endif

}  // namespace potluck::gpu

#elif defined(__CUDACC__)

#define GPU_DEVICE __device__ __forceinline__
#define GPU_KERNEL(name, Args, threads) \
  extern "C" __global__ void __launch_bounds__(threads) name(const Args a)
#define GPU_KERNEL_OF_BLOCKS(name, Args, threads, blocks) \
  extern "C" __global__ void __launch_bounds__(threads, blocks) name(const Args a)
#define GPU_SHARED(Type, name, extents) __shared__ Type name extents
#define GPU_TABLE static __device__ constexpr
#define GPU_UNROLL _Pragma("unroll")
#define GPU_ROLLED _Pragma("unroll 1")

namespace potluck::gpu {

GPU_DEVICE int thread() {
  __builtin_assume(threadIdx.x < 1024);  // divisions by powers of two are then shifts
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
GPU_DEVICE int opaque(int x) {
  asm volatile("" : "+r"(x));
  return x;
}
GPU_DEVICE int64_t opaque(int64_t x) {
  asm volatile("" : "+l"(x));
  return x;
}
GPU_DEVICE void keep_order() {}
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
GPU_DEVICE int32_t uniform(int32_t value) {
  return value;
}
template <typename Value>
GPU_DEVICE Value load_uniform(const void* p) {
  return *static_cast<const Value*>(p);
}
GPU_DEVICE uint32_t pick_bytes(const uint32_t (&table)[4], uint32_t numbers) {
  const uint32_t nibbles = __byte_perm(numbers | numbers >> 4, 0, 0x4420);
  const uint32_t low = __byte_perm(table[0], table[1], nibbles & 0x7777);
  const uint32_t high = __byte_perm(table[2], table[3], nibbles & 0x7777);
  return __byte_perm(low, high, (nibbles >> 1 & 0x4444) | 0x3210);
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
GPU_DEVICE uint32_t pack_f16(float low, float high) {
#if __CUDA_ARCH__ >= 800
  uint32_t word;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
  return word;
#else
  return float_to_f16(low) | uint32_t{float_to_f16(high)} << 16;
#endif
}
GPU_DEVICE uint32_t subtract_f16x2(uint32_t a, uint32_t b) {
  uint32_t c;
  asm("sub.f16x2 %0, %1, %2;" : "=r"(c) : "r"(a), "r"(b));
  return c;
}
GPU_DEVICE uint32_t multiply_f16x2(uint32_t a, uint32_t b) {
  uint32_t c;
  asm("mul.f16x2 %0, %1, %2;" : "=r"(c) : "r"(a), "r"(b));
  return c;
}
GPU_DEVICE uint32_t bytes_to_f16x2(uint32_t bytes, int pair) {
  return __byte_perm(bytes, 0x64646464u, pair ? 0x4342 : 0x4140);
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

GPU_DEVICE uint32_t shared_address(const void* at) {
  return __cvta_generic_to_shared(at);
}

#if __CUDA_ARCH__ >= 800
GPU_DEVICE void copy16(void* to, const void* from, bool inside = true) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from),
               "r"(inside ? 16 : 0)
               : "memory");
}
GPU_DEVICE void commit_copies() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}
template <int kPending>
GPU_DEVICE void wait_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}
#else
// Copies to shared memory are done when they are called.
GPU_DEVICE void copy16(void* to, const void* from, bool inside = true) {
  struct alignas(16) Words {
    uint32_t word[4];
  };
  *static_cast<Words*>(to) = inside ? *static_cast<const Words*>(from) : Words{};
}
GPU_DEVICE void commit_copies() {}
template <int kPending>
GPU_DEVICE void wait_copies() {}
#endif

#if __CUDA_ARCH__ >= 750
template <bool kTransposed>
GPU_DEVICE void load_matrices(uint32_t (&to)[4], const void* row) {
  if constexpr (kTransposed)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(shared_address(row))
                 : "memory");
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(shared_address(row))
                 : "memory");
}
#else
template <bool kTransposed>
GPU_DEVICE void load_matrices(uint32_t (&)[4], const void*) {
  __trap();
}
#endif

constexpr int kWave = 32;
constexpr bool kMmaMirrors = false;
constexpr int kMmaColumns = 8, kMmaF16Depth = 16, kMmaS8Depth = 32;
#if __CUDA_ARCH__ >= 800
constexpr bool kHasMma = true;
GPU_DEVICE void mma_f16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
GPU_DEVICE void mma_s8(int32_t (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
#elif __CUDA_ARCH__ >= 750
constexpr bool kHasMma = true;
// Smaller products, in the order of the depth, which hold their values as the larger ones do.
GPU_DEVICE void mma_f16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  GPU_UNROLL
  for (int half = 0; half < 2; ++half)
    asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 "
        "{%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[2 * half]), "r"(a[2 * half + 1]), "r"(b[half]));
}
GPU_DEVICE void mma_s8(int32_t (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  GPU_UNROLL
  for (int part = 0; part < 4; ++part)
    asm("mma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32 {%0, %1}, {%2}, {%3}, {%0, %1};"
        : "+r"(c[part % 2 * 2]), "+r"(c[part % 2 * 2 + 1])
        : "r"(a[part]), "r"(b[part / 2]));
}
#else
constexpr bool kHasMma = false;
template <int kSums, int kA, int kB>
GPU_DEVICE void mma_f16(float (&)[kSums], const uint32_t (&)[kA], const uint32_t (&)[kB]) {
  __trap();
}
template <int kSums, int kA, int kB>
GPU_DEVICE void mma_s8(int32_t (&)[kSums], const uint32_t (&)[kA], const uint32_t (&)[kB]) {
  __trap();
}
#endif

}  // namespace potluck::gpu

#else
#include "emulated_gpu.h"
#endif

namespace potluck::gpu {

// opaque(x) is x, an int or int64_t, of which the compiler knows nothing: what depends on it is not
// computed ahead for all of a loop, where it would take registers.

// One instruction moves them.
struct alignas(16) Words4 {
  uint32_t word[4];
};

// The memory at p, as values of another type.
template <typename Value>
GPU_DEVICE Value* as(void* p) {
  return static_cast<Value*>(p);
}
template <typename Value>
GPU_DEVICE Value* as(const void* p) {
  return static_cast<Value*>(p);
}

// Byte i of the word: an instruction of its own.
GPU_DEVICE float byte_to_float(uint32_t word, int i) {
  return word >> (8 * i) & 255;
}

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

// keep_order() keeps the compiler of AMD's cards from bringing what follows in front of it, where
// values that are loaded early would take more registers than there are.
//
// kWave is 32 or 64.
//   int32_t uniform(int32_t value)      a value that is the same in all lanes of a wave
//   Value load_uniform<Value>(const void* p)
// loads 4, 8 or 16 bytes where p is the same in all lanes of a wave, is made of uniform() values
// and operands, and nobody writes while the kernel runs.
//   uint32_t pick_bytes(const uint32_t (&table)[4], uint32_t numbers)
// is, for each byte of `numbers`, 0 … 15, the byte of the table with that number.

// pack_f16(low, high) is a word of two values rounded to f16, subtract_f16x2(a, b) and
// multiply_f16x2(a, b) are the differences and products of such words, rounded once, and
// bytes_to_f16x2(bytes, pair) is 1,024 + byte 2·pair and 1,024 + byte 2·pair + 1.

// Asynchronous copies of 16 bytes from global to shared memory, both aligned to 16; zeros where
// `inside` is false. A thread's copies since its last commit_copies() are a group, and
// wait_copies<n>() returns when all but its last n groups have landed: for this thread; others see
// them after a barrier.
//   copy16(void* to, const void* from, bool inside = true)

}  // namespace potluck::gpu

#include "kernels/gpu/device/mma_layout.h"
