// The copies of the kernels in which every mutant is a switch (generate.py writes them) call these.
#pragma once

#include <cmath>
#include <cstdint>

#include "topology/base/dtype.h"

namespace potluck::mutants {

inline constexpr int kMutantsMost = 16384;

// Whether chosen() is to be asked about a mutant. POTLUCK_MUTANT=n sets it for mutant n. With
// POTLUCK_MUTANTS_REACHED=file no mutant is in force, and it is set for each until a test has
// reached it: the file gets a line for each test, with its name, the milliseconds that it took of
// the processor, and the mutants.
extern bool asks[kMutantsMost];
bool chosen(int number);

// Whether a mutant is in force.
inline bool is(int number) {
  return asks[number] && chosen(number);
}

// Roundings to the wrong side.
inline float toward_zero(float x) {
  return std::trunc(x);
}
inline uint16_t f16_toward_zero(float x) {
  const uint16_t bits = f16_from_f32(x);
  const bool is_away = std::fabs(f32_from_f16(bits)) > std::fabs(x);
  return bits - is_away;
}
inline uint16_t bf16_toward_zero(float x) {
  const uint16_t bits = bf16_from_f32(x);
  const bool is_away = std::fabs(f32_from_bf16(bits)) > std::fabs(x);
  return bits - is_away;
}

}  // namespace potluck::mutants
