// The types of stored numbers: names, blocks, and conversions of single values.
#include "topology/base/dtype.h"

#include <algorithm>
#include <bit>
#include <cctype>

#include "topology/base/check.h"
#include "topology/base/text.h"

namespace potluck {
namespace {

struct TypeRow {
  DType type;
  const char* name;
  BlockShape shape;
};

constexpr TypeRow kTypeTable[] = {
    {DType::f32, "f32", {1, 4}},
    {DType::f16, "f16", {1, 2}},
    {DType::bf16, "bf16", {1, 2}},
    {DType::q8_0, "q8_0", {32, 34}},
    {DType::q4_0, "q4_0", {32, 18}},
    {DType::q4_1, "q4_1", {32, 20}},
    {DType::q5_0, "q5_0", {32, 22}},
    {DType::q5_1, "q5_1", {32, 24}},
    {DType::q2_k, "q2_k", {256, 84}},
    {DType::q3_k, "q3_k", {256, 110}},
    {DType::q4_k, "q4_k", {256, 144}},
    {DType::q5_k, "q5_k", {256, 176}},
    {DType::q6_k, "q6_k", {256, 210}},
    {DType::iq4_nl, "iq4_nl", {32, 18}},
    {DType::iq4_xs, "iq4_xs", {256, 136}},
    {DType::iq2_xxs, "iq2_xxs", {256, 66}},
    {DType::iq2_xs, "iq2_xs", {256, 74}},
    {DType::iq2_s, "iq2_s", {256, 82}},
    {DType::iq3_xxs, "iq3_xxs", {256, 98}},
    {DType::iq3_s, "iq3_s", {256, 110}},
    {DType::iq1_s, "iq1_s", {256, 50}},
    {DType::iq1_m, "iq1_m", {256, 56}},
    {DType::mxfp4, "mxfp4", {32, 17}},
};

// Names of ggml's types by id, for refusing them by name; nullptr: removed or never used.
constexpr const char* kGgmlNames[] = {
    "f32",     "f16",    "q4_0",    "q4_1",  nullptr,  nullptr, "q5_0",  "q5_1",
    "q8_0",    "q8_1",   "q2_k",    "q3_k",  "q4_k",   "q5_k",  "q6_k",  "q8_k",
    "iq2_xxs", "iq2_xs", "iq3_xxs", "iq1_s", "iq4_nl", "iq3_s", "iq2_s", "iq4_xs",
    "i8",      "i16",    "i32",     "i64",   "f64",    "iq1_m", "bf16",  nullptr,
    nullptr,   nullptr,  "tq1_0",   "tq2_0", nullptr,  nullptr, nullptr, "mxfp4"};

const TypeRow& row(DType type) {
  const auto* found = std::find_if(std::begin(kTypeTable), std::end(kTypeTable),
                                   [&](const TypeRow& r) { return r.type == type; });
  CHECK(found != std::end(kTypeTable), static_cast<int>(type));
  return *found;
}

}  // namespace

BlockShape block_shape(DType type) {
  return row(type).shape;
}
const char* dtype_name(DType type) {
  return row(type).name;
}

std::optional<DType> dtype_from_name(std::string_view name) {
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  for (const TypeRow& r : kTypeTable)
    if (lower == r.name) return r.type;
  return std::nullopt;
}

std::optional<DType> dtype_from_ggml(uint32_t id) {
  for (const TypeRow& r : kTypeTable)
    if (static_cast<uint32_t>(r.type) == id) return r.type;
  return std::nullopt;
}

std::string ggml_type_name(uint32_t id) {
  const bool named = id < std::size(kGgmlNames) && kGgmlNames[id];
  return named ? kGgmlNames[id] : "type " + std::to_string(id);
}

std::string supported_dtypes() {
  std::string names;
  for (const TypeRow& r : kTypeTable) add_to_list(names, r.name);
  return names;
}

size_t row_bytes(DType type, int64_t values) {
  const BlockShape shape = block_shape(type);
  CHECK(values % shape.values == 0, dtype_name(type), values);
  return (values / shape.values) * shape.bytes;
}

uint16_t bf16_from_f32(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return (bits >> 16) | 0x40;
  return (bits + 0x7fffu + ((bits >> 16) & 1)) >> 16;
}

float f32_from_bf16(uint16_t bits) {
  return std::bit_cast<float>(bits << 16);
}

float f32_from_f16(uint16_t bits) {
  const uint32_t sign = (bits & 0x8000u) << 16;
  const uint32_t exponent = (bits >> 10) & 0x1f, mantissa = bits & 0x3ff;
  if (exponent == 0) {  // zero or subnormal: mantissa · 2⁻²⁴
    const float value = mantissa * 0x1p-24f;
    return sign ? -value : value;
  }
  const uint32_t wide = exponent == 31 ? 0xffu : exponent + 112;
  return std::bit_cast<float>(sign | (wide << 23) | (mantissa << 13));
}

uint16_t f16_from_f32(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint16_t sign = (bits >> 16) & 0x8000u;
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return sign | 0x7e00;
  if (magnitude >= 0x477ff000u) return sign | 0x7c00;  // rounds past 65504
  if (magnitude < 0x38800000u) {                       // below 2⁻¹⁴: a multiple of 2⁻²⁴
    const float scaled = std::bit_cast<float>(magnitude) * 0x1p24f;
    const float shifted = (scaled + 0x1p23f) - 0x1p23f;  // to nearest, ties to even
    return sign | static_cast<uint32_t>(shifted);
  }
  const uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1);
  return sign | ((rounded - 0x38000000u) >> 13);
}

}  // namespace potluck
