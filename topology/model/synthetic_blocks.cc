// Random bytes, into which a block's scale is written.
#include "topology/model/synthetic_blocks.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "topology/base/check.h"
#include "topology/base/text.h"

namespace potluck {
namespace {

// The RMS of the values of random bytes with a scale of 1, and for q4_k a minimum of kQ4KMinimum,
// which makes their mean 0.
struct Row {
  DType type;
  float rms;
};

constexpr float kQ4KMinimum = 7.5f;
constexpr Row kRows[] = {
    {DType::f32, 1},        {DType::bf16, 1},         {DType::q8_0, 73.32f},
    {DType::q4_k, 258.1f},  {DType::q5_0, 9.25f},     {DType::iq4_nl, 67.4f},
    {DType::q6_k, 1365.7f}, {DType::iq2_xxs, 53.35f}, {DType::iq2_xs, 55.95f},
    {DType::iq2_s, 56.43f}, {DType::iq3_xxs, 142.5f}, {DType::iq3_s, 140.3f},
    {DType::iq1_s, 7.2f},   {DType::iq1_m, 7.2f},     {DType::mxfp4, 5.86f},
};

const Row* row_of(DType type) {
  const auto* found = std::find_if(std::begin(kRows), std::end(kRows),
                                   [type](const Row& row) { return row.type == type; });
  return found == std::end(kRows) ? nullptr : found;
}

void write_f16(float value, std::byte* to) {
  const uint16_t bits = f16_from_f32(value);
  std::memcpy(to, &bits, sizeof(bits));
}

// Four bits of an f16 go into the highest ones of each of four words.
void write_f16_in_parts(float value, std::byte* to) {
  const uint16_t bits = f16_from_f32(value);
  for (int i = 0; i < 4; ++i)
    to[2 * i + 1] =
        (to[2 * i + 1] & std::byte{15}) | static_cast<std::byte>((bits >> (4 * i) & 15) << 4);
}

void write_scale(DType type, float scale, std::byte* block) {
  if (type == DType::mxfp4) {  // the nearest power of two; 128 stands for 1
    *block = static_cast<std::byte>(std::clamp(128 + std::lrint(std::log2(scale)), 0l, 252l));
  } else if (type == DType::iq1_m) {
    write_f16_in_parts(scale, block + 48);
  } else if (type == DType::q6_k) {
    write_f16(scale, block + 208);
  } else {
    write_f16(scale, block);
    if (type == DType::q4_k) write_f16(scale * kQ4KMinimum, block + 2);
  }
}

}  // namespace

uint64_t synthetic_mix(uint64_t x) {
  x += 0x9E3779B97F4A7C15ull;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}

bool has_synthetic_blocks(DType type) {
  return row_of(type);
}

std::string synthetic_types() {
  std::string names;
  for (const Row& row : kRows) add_to_list(names, dtype_name(row.type));
  return names;
}

DType synthetic_type(DType type, int64_t columns) {
  if (columns % block_shape(type).values == 0) return type;
  if (type == DType::q4_k) return DType::q5_0;
  return type == DType::q6_k ? DType::q8_0 : DType::iq4_nl;
}

void synthetic_blocks(DType type, float rms, uint64_t state, std::byte* out, uint64_t bytes) {
  const Row* row = row_of(type);
  CHECK(row, dtype_name(type));
  for (uint64_t at = 0; at < bytes; at += sizeof(uint64_t)) {
    const uint64_t word = synthetic_mix(state + at / sizeof(uint64_t));
    std::memcpy(out + at, &word, std::min<uint64_t>(sizeof(word), bytes - at));
  }
  const uint64_t block = block_shape(type).bytes;
  for (uint64_t at = 0; at < bytes; at += block) write_scale(type, rms / row->rms, out + at);
}

}  // namespace potluck
