// Sixteen f32 lanes are the one order in which every long sum of the reference runs. Lane j takes
// the terms j, j + 16, …; the lanes are then added pairwise. Vector extensions keep that order on
// any instruction set (contraction is off), so the bits are the same everywhere.
//
// They are two vectors of eight, because a vector that the instruction set does not have lives in
// memory: with one of sixteen the same code was up to twelve times slower on AVX2 (Zen 3,
// 2026-11-27). Where an AVX-512 one is worth it, in products, it is WideLanes.
#pragma once

#include <cstdint>
#include <cstring>

// One clone of a hot function for each x86-64 level, chosen when the program starts.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define POTLUCK_HAS_CLONES 1
#define POTLUCK_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define POTLUCK_HAS_CLONES 0
#define POTLUCK_CLONES
#endif
// A clone's callees must be inlined into it to be compiled for its level.
#define POTLUCK_INLINE inline __attribute__((always_inline))

namespace potluck::cpu {

inline constexpr int kLanes = 16;
using WideLanes = float __attribute__((vector_size(kLanes * sizeof(float))));
using HalfLanes = float __attribute__((vector_size(kLanes / 2 * sizeof(float))));

struct Lanes {
  HalfLanes low, high;
};

POTLUCK_INLINE Lanes operator+(const Lanes& a, const Lanes& b) {
  return {a.low + b.low, a.high + b.high};
}
POTLUCK_INLINE Lanes operator*(const Lanes& a, const Lanes& b) {
  return {a.low * b.low, a.high * b.high};
}
POTLUCK_INLINE Lanes operator*(const Lanes& a, float b) {
  return {a.low * b, a.high * b};
}
POTLUCK_INLINE Lanes operator*(float a, const Lanes& b) {
  return {a * b.low, a * b.high};
}
POTLUCK_INLINE void operator+=(Lanes& a, const Lanes& b) {
  a = a + b;
}
POTLUCK_INLINE void operator*=(Lanes& a, const Lanes& b) {
  a = a * b;
}
POTLUCK_INLINE void operator*=(Lanes& a, float b) {
  a = a * b;
}

// a = the greater of each lane; a's beside what is not a number.
POTLUCK_INLINE void raise_lanes(Lanes& a, const Lanes& b) {
  a.low = b.low > a.low ? b.low : a.low;
  a.high = b.high > a.high ? b.high : a.high;
}

POTLUCK_INLINE void load_lanes(const float* p, Lanes& lanes) {
  std::memcpy(&lanes.low, p, sizeof(lanes.low));
  std::memcpy(&lanes.high, p + kLanes / 2, sizeof(lanes.high));
}

POTLUCK_INLINE void load_lanes(const float* p, WideLanes& lanes) {
  std::memcpy(&lanes, p, sizeof(lanes));
}

// Loads the first n < 16 values; the other lanes are zero.
template <typename AnyLanes>
POTLUCK_INLINE void load_lanes_part(const float* p, int64_t n, AnyLanes& lanes) {
  float values[kLanes] = {};
  std::memcpy(values, p, n * sizeof(float));
  load_lanes(values, lanes);
}

POTLUCK_INLINE void store_lanes(float* p, const Lanes& lanes) {
  std::memcpy(p, &lanes.low, sizeof(lanes.low));
  std::memcpy(p + kLanes / 2, &lanes.high, sizeof(lanes.high));
}

POTLUCK_INLINE void store_lanes(float* p, const WideLanes& lanes) {
  std::memcpy(p, &lanes, sizeof(lanes));
}

template <typename AnyLanes>
POTLUCK_INLINE void store_lanes_part(float* p, int64_t n, const AnyLanes& lanes) {
  float values[kLanes];
  store_lanes(values, lanes);
  std::memcpy(p, values, n * sizeof(float));
}

// Loads all sixteen values, or the first `count` of them.
struct LoadWhole {
  template <typename AnyLanes>
  POTLUCK_INLINE void operator()(const float* p, AnyLanes& lanes) const {
    load_lanes(p, lanes);
  }
};
struct LoadPart {
  int64_t count;
  template <typename AnyLanes>
  POTLUCK_INLINE void operator()(const float* p, AnyLanes& lanes) const {
    load_lanes_part(p, count, lanes);
  }
};

// Calls step(i, load) for i = 0, 16, … < n; load(p, lanes) takes what there is of 16 values at p.
template <typename Step>
POTLUCK_INLINE void each_lanes(int64_t n, const Step& step) {
  const int64_t whole = n / kLanes * kLanes;
  for (int64_t i = 0; i < whole; i += kLanes) step(i, LoadWhole{});
  if (whole < n) step(whole, LoadPart{n - whole});
}

// out[i, i + 16) = what value(i, load, lanes) sets, for i = 0, 16, … < n. out may be what it loads
// from: a plain loop would then be run value by value, for fear of the one before.
template <typename Value>
POTLUCK_INLINE void set_lanes(int64_t n, float* out, const Value& value) {
  const int64_t whole = n / kLanes * kLanes;
  Lanes lanes;
  for (int64_t i = 0; i < whole; i += kLanes) {
    value(i, LoadWhole{}, lanes);
    store_lanes(out + i, lanes);
  }
  if (whole == n) return;
  value(whole, LoadPart{n - whole}, lanes);
  store_lanes_part(out + whole, n - whole, lanes);
}

// Lane j += lane j + kWidth, for the lanes below kWidth; the others are of no use then.
template <int kWidth>
POTLUCK_INLINE void fold_lanes(HalfLanes& v) {
  constexpr int kLast = kLanes / 2 - 1;
  v += __builtin_shufflevector(v, v, kWidth, (kWidth + 1) & kLast, (kWidth + 2) & kLast,
                               (kWidth + 3) & kLast, (kWidth + 4) & kLast, (kWidth + 5) & kLast,
                               (kWidth + 6) & kLast, (kWidth + 7) & kLast);
}

POTLUCK_INLINE float sum_lanes(const Lanes& lanes) {
  HalfLanes v = lanes.low + lanes.high;
  fold_lanes<4>(v);
  fold_lanes<2>(v);
  fold_lanes<1>(v);
  return v[0];
}

POTLUCK_INLINE float sum_lanes(const WideLanes& lanes) {
  Lanes halves;
  std::memcpy(&halves, &lanes, sizeof(halves));
  return sum_lanes(halves);
}

}  // namespace potluck::cpu
