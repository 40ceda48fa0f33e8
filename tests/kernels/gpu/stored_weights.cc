// Fills blocks with random bits, then gives their scales sizes that keep values about 1.
#include "tests/kernels/gpu/stored_weights.h"

#include <cmath>
#include <cstring>
#include <random>

#include "kernels/cpu/reference/dequantize.h"

namespace potluck {
namespace {

// Where the f16 scales of a block lie, and how large they may be.
struct Scales {
  std::vector<int> at;
  float most;
};

Scales scales_of(DType type) {
  switch (type) {
    case DType::q8_0:
      return {{0}, 1.0f / 128};
    case DType::q4_0:
    case DType::q5_0:
      return {{0}, 1.0f / 8};
    case DType::q4_1:
    case DType::q5_1:
      return {{0, 2}, 1.0f / 16};
    case DType::iq4_nl:
      return {{0}, 1.0f / 128};
    case DType::q4_k:
    case DType::q5_k:
      return {{0, 2}, 1.0f / 1024};
    case DType::q6_k:
      return {{208}, 1.0f / 4096};
    case DType::q2_k:
      return {{80, 82}, 1.0f / 64};
    case DType::q3_k:
      return {{108}, 1.0f / 128};
    case DType::iq4_xs:
      return {{0}, 1.0f / 4096};
    case DType::iq2_xxs:
    case DType::iq2_xs:
    case DType::iq2_s:
      return {{0}, 1.0f / 128};
    case DType::iq3_xxs:
    case DType::iq3_s:
      return {{0}, 1.0f / 512};
    case DType::iq1_s:
      return {{0}, 1.0f / 16};
    case DType::iq1_m:
      return {{48}, 1.0f / 16};
    default:
      return {{0}, 1.0f};
  }
}

// The scale of a block of iq1_m is the highest four bits of each of four numbers of 16.
void put_in_quarters(uint16_t half, uint8_t* to) {
  for (int i = 0; i < 4; ++i) to[2 * i + 1] = (to[2 * i + 1] & 15) | (half >> (4 * i) & 15) << 4;
}

void put_value(DType type, float value, uint8_t* to) {
  const uint16_t half = type == DType::bf16 ? bf16_from_f32(value) : f16_from_f32(value);
  if (type == DType::f32)
    std::memcpy(to, &value, 4);
  else if (type == DType::iq1_m)
    put_in_quarters(half, to);
  else if (type == DType::mxfp4)
    *to = 125 + std::lrint(value);
  else
    std::memcpy(to, &half, 2);
}

}  // namespace

std::vector<float> random_values(size_t count, uint32_t seed, float scale) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> value(-scale, scale);
  std::vector<float> values(count);
  for (float& v : values) v = value(random);
  return values;
}

TestWeights::TestWeights(DType type, int64_t count, int64_t rows, int64_t columns, uint32_t seed)
    : type_(type),
      count_(count),
      rows_(rows),
      columns_(columns),
      blocks_(row_bytes(type, columns) * count * rows),
      values_(count * rows * columns) {
  std::mt19937 random(seed);
  for (uint8_t& byte : blocks_) byte = random();
  const Scales scales = scales_of(type);
  std::uniform_real_distribution<float> scale(-scales.most, scales.most);
  for (size_t block = 0; block < blocks_.size(); block += block_shape(type).bytes)
    for (const int at : scales.at) put_value(type, scale(random), blocks_.data() + block + at);
  cpu::dequantize_row(type, blocks_.data(), values_.data(), count * rows * columns);
}

gpu::Weights TestWeights::gpu() const {
  return {blocks_.data(), rows_, columns_, static_cast<int64_t>(row_bytes(type_, columns_)),
          stored_type(type_)};
}

cpu::WeightView TestWeights::view() const {
  return {type_, blocks_.data(), count_ * rows_, columns_};
}

double sum_tolerance(const float* x, const float* w, int64_t n) {
  double magnitude = 0;
  for (int64_t i = 0; i < n; ++i) magnitude += std::fabs(static_cast<double>(x[i]) * w[i]);
  return n * 0x1p-23 * magnitude;
}

}  // namespace potluck
