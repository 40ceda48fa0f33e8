// Sixteen f32 lanes: the one order in which every long sum of the reference runs. Lane j takes the
// terms j, j + 16, …; the lanes are then added pairwise. Vector extensions keep that order on any
// instruction set (contraction is off), so the bits are the same everywhere.
#pragma once

#include <cstdint>
#include <cstring>

// One clone of a hot function for each x86-64 level, chosen when the program starts.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define POTLUCK_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define POTLUCK_CLONES
#endif
// What a clone calls must be inlined into it to be compiled for its level.
#define POTLUCK_INLINE inline __attribute__((always_inline))

namespace potluck::cpu {

inline constexpr int kLanes = 16;
using Lanes = float __attribute__((vector_size(kLanes * sizeof(float))));

POTLUCK_INLINE void load_lanes(const float* p, Lanes& lanes) {
  std::memcpy(&lanes, p, sizeof(lanes));
}

// The first n < 16 values; the other lanes are zero.
POTLUCK_INLINE void load_lanes_part(const float* p, int64_t n, Lanes& lanes) {
  lanes = Lanes{};
  std::memcpy(&lanes, p, static_cast<size_t>(n) * sizeof(float));
}

// step(i, load) for i = 0, 16, … < n; load(p, lanes) takes what there is of 16 values at p.
template <typename Step>
POTLUCK_INLINE void each_lanes(int64_t n, const Step& step) {
  const int64_t whole = n / kLanes * kLanes, rest = n - whole;
  for (int64_t i = 0; i < whole; i += kLanes) step(i, load_lanes);
  if (rest)
    step(
        whole, [rest](const float* p, Lanes& lanes)
                   __attribute__((always_inline)) { load_lanes_part(p, rest, lanes); });
}

POTLUCK_INLINE void store_lanes_part(float* p, int64_t n, const Lanes& lanes) {
  std::memcpy(p, &lanes, static_cast<size_t>(n) * sizeof(float));
}

POTLUCK_INLINE void store_lanes(float* p, const Lanes& lanes) {
  std::memcpy(p, &lanes, sizeof(lanes));
}

// out[i, i + 16) = what value(i, load, lanes) sets, for i = 0, 16, … < n. out may be what it loads
// from: a plain loop would then be run value by value, for fear of the one before.
template <typename Value>
POTLUCK_INLINE void set_lanes(int64_t n, float* out, const Value& value) {
  const int64_t whole = n / kLanes * kLanes, rest = n - whole;
  Lanes lanes;
  for (int64_t i = 0; i < whole; i += kLanes) {
    value(i, load_lanes, lanes);
    store_lanes(out + i, lanes);
  }
  if (rest == 0) return;
  const auto load = [rest](const float* p, Lanes& part) __attribute__((always_inline)) {
    load_lanes_part(p, rest, part);
  };
  value(whole, load, lanes);
  store_lanes_part(out + whole, rest, lanes);
}

// Lane j += lane j + kWidth, for the lanes below kWidth; the others are of no use then.
template <int kWidth>
POTLUCK_INLINE void fold_lanes(Lanes& v) {
  using Indices = int __attribute__((vector_size(kLanes * sizeof(int))));
  Indices upper;
  for (int j = 0; j < kLanes; ++j) upper[j] = (j + kWidth) % kLanes;
  v += __builtin_shuffle(v, upper);
}

POTLUCK_INLINE float sum_lanes(const Lanes& lanes) {
  Lanes v = lanes;
  fold_lanes<8>(v);
  fold_lanes<4>(v);
  fold_lanes<2>(v);
  fold_lanes<1>(v);
  return v[0];
}

}  // namespace potluck::cpu
