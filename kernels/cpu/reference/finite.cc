// Loops over the exponents of stored numbers, many blocks between two looks at what they found.
#include "kernels/cpu/reference/finite.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "kernels/cpu/reference/dequantize.h"
#include "topology/base/check.h"

namespace potluck::cpu {
namespace {

constexpr int64_t kRun = 256;  // blocks between two looks

// All ones in these bits of a number say that it is an infinity or a NaN.
constexpr uint32_t kF32 = 0x7f800000;
constexpr uint16_t kF16 = 0x7c00, kBf16 = 0x7f80;

template <typename Bits>
bool is_bad(const std::byte* at, Bits exponent) {
  Bits bits;
  std::memcpy(&bits, at, sizeof(bits));
  return (bits & exponent) == exponent;
}

// Blocks of kBytes whose numbers that count lie at kAt, as Bits each. Returns whether a run of them
// has one that is not finite.
template <typename Bits, Bits kExponent, int kBytes, int... kAt>
bool any_bad(const std::byte* blocks, int64_t count) {
  uint32_t found = 0;
  for (int64_t i = 0; i < count; ++i)
    found |= (uint32_t{is_bad<Bits>(blocks + i * kBytes + kAt, kExponent)} | ...);
  return found;
}

// iq1_m keeps the four highest bits of its scale's exponent and sign in a u16 of their own, and the
// lowest exponent bits in the one before.
bool any_bad_iq1_m(const std::byte* blocks, int64_t count) {
  uint32_t found = 0;
  for (int64_t i = 0; i < count; ++i)
    found |= uint32_t{is_bad<uint16_t>(blocks + i * 56 + 52, uint16_t{0xc000})} &
             uint32_t{is_bad<uint16_t>(blocks + i * 56 + 54, uint16_t{0x7000})};
  return found;
}

// The first value of the block at `block` that is not finite, or its first.
float odd_value(DType type, const std::byte* block) {
  std::array<float, 256> values;
  const int count = block_shape(type).values;
  dequantize_row(type, block, values.data(), count);
  for (int i = 0; i < count; ++i)
    if (!std::isfinite(values[i])) return values[i];
  return values[0];
}

// The three greatest scales of mxfp4 (2¹²⁵ and more) take some levels past f32.
bool any_bad_mxfp4(const std::byte* blocks, int64_t count) {
  for (int64_t i = 0; i < count; ++i, blocks += 17)
    if (blocks[0] >= std::byte{253} && !std::isfinite(odd_value(DType::mxfp4, blocks))) return true;
  return false;
}

using AnyBad = bool (*)(const std::byte* blocks, int64_t count);

AnyBad any_bad_of(DType type) {
  switch (type) {
    case DType::f32:
      return any_bad<uint32_t, kF32, 4, 0>;
    case DType::f16:
      return any_bad<uint16_t, kF16, 2, 0>;
    case DType::bf16:
      return any_bad<uint16_t, kBf16, 2, 0>;
    case DType::q8_0:
      return any_bad<uint16_t, kF16, 34, 0>;
    case DType::q4_0:
    case DType::iq4_nl:
      return any_bad<uint16_t, kF16, 18, 0>;
    case DType::q4_1:
      return any_bad<uint16_t, kF16, 20, 0, 2>;
    case DType::q5_0:
      return any_bad<uint16_t, kF16, 22, 0>;
    case DType::q5_1:
      return any_bad<uint16_t, kF16, 24, 0, 2>;
    case DType::q2_k:
      return any_bad<uint16_t, kF16, 84, 80, 82>;
    case DType::q3_k:
      return any_bad<uint16_t, kF16, 110, 108>;
    case DType::q4_k:
      return any_bad<uint16_t, kF16, 144, 0, 2>;
    case DType::q5_k:
      return any_bad<uint16_t, kF16, 176, 0, 2>;
    case DType::q6_k:
      return any_bad<uint16_t, kF16, 210, 208>;
    case DType::iq4_xs:
      return any_bad<uint16_t, kF16, 136, 0>;
    case DType::iq2_xxs:
      return any_bad<uint16_t, kF16, 66, 0>;
    case DType::iq2_xs:
      return any_bad<uint16_t, kF16, 74, 0>;
    case DType::iq2_s:
      return any_bad<uint16_t, kF16, 82, 0>;
    case DType::iq3_xxs:
      return any_bad<uint16_t, kF16, 98, 0>;
    case DType::iq3_s:
      return any_bad<uint16_t, kF16, 110, 0>;
    case DType::iq1_s:
      return any_bad<uint16_t, kF16, 50, 0>;
    case DType::iq1_m:
      return any_bad_iq1_m;
    case DType::mxfp4:
      return any_bad_mxfp4;
  }
  CHECK(false, static_cast<int>(type));
  __builtin_unreachable();
}

// The places of the f16 numbers of a quantized block.
std::array<int, 2> scales_of(DType type) {
  switch (type) {
    case DType::q2_k:
      return {80, 82};
    case DType::q3_k:
      return {108, 108};
    case DType::q6_k:
      return {208, 208};
    case DType::q4_1:
    case DType::q5_1:
    case DType::q4_k:
    case DType::q5_k:
      return {0, 2};
    default:
      return {0, 0};
  }
}

}  // namespace

int64_t first_not_finite(DType type, const void* blocks, int64_t count) {
  const AnyBad bad = any_bad_of(type);
  const int64_t bytes = block_shape(type).bytes;
  const auto* data = static_cast<const std::byte*>(blocks);
  for (int64_t run = 0; run < count; run += kRun) {
    const int64_t end = std::min(run + kRun, count);
    if (!bad(data + run * bytes, end - run)) continue;
    for (int64_t i = run; i < end; ++i)
      if (bad(data + i * bytes, 1)) return i;
  }
  return -1;
}

int64_t first_not_finite(const WeightView& w) {
  return first_not_finite(w.type, w.blocks, w.rows * (w.columns / block_shape(w.type).values));
}

float not_finite_value(DType type, const void* block) {
  uint16_t bits = 0;
  const auto* data = static_cast<const std::byte*>(block);
  if (type == DType::iq1_m || type == DType::mxfp4) return odd_value(type, data);
  if (type == DType::f32) {
    float value;
    std::memcpy(&value, data, sizeof(value));
    return value;
  }
  std::memcpy(&bits, data, sizeof(bits));
  if (type == DType::bf16) return f32_from_bf16(bits);
  for (int at : scales_of(type)) {
    std::memcpy(&bits, data + at, sizeof(bits));
    if (!std::isfinite(f32_from_f16(bits))) break;
  }
  return f32_from_f16(bits);
}

}  // namespace potluck::cpu
