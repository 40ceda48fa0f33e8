// Element types of tensors, streams, caches and hops, and how many bytes they take.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace potluck {

// The values are ggml's type ids, so that a GGUF directory needs no table of its own.
enum class DType : uint8_t {
  f32 = 0,
  f16 = 1,
  q4_0 = 2,
  q4_1 = 3,
  q5_0 = 6,
  q5_1 = 7,
  q8_0 = 8,
  q2_k = 10,
  q3_k = 11,
  q4_k = 12,
  q5_k = 13,
  q6_k = 14,
  iq2_xxs = 16,
  iq2_xs = 17,
  iq3_xxs = 18,
  iq1_s = 19,
  iq4_nl = 20,
  iq3_s = 21,
  iq2_s = 22,
  iq4_xs = 23,
  iq1_m = 29,
  bf16 = 30,
  mxfp4 = 39,
};

// A block is the unit of storage: `values` elements in `bytes` bytes (1 element for f32, f16,
// bf16).
struct BlockShape {
  int values;
  int bytes;
};

BlockShape block_shape(DType type);
const char* dtype_name(DType type);                           // "q4_k"
std::optional<DType> dtype_from_name(std::string_view name);  // case-insensitive
std::optional<DType> dtype_from_ggml(uint32_t ggml_type_id);  // nothing: unsupported
std::string ggml_type_name(uint32_t ggml_type_id);            // also of those we do not support
std::string supported_dtypes();                               // "f32, f16, q4_0, …" for messages

// The bytes of a row of `values` elements; `values` must be a multiple of the block's.
size_t row_bytes(DType type, int64_t values);

// A backend's arithmetic is exact (the reference's, the same bits on any processor) or fast (lower
// precision inside products, the same bits on one instruction set).
enum class Precision : uint8_t { exact = 0, fast = 1 };

// bf16 is the upper half of an f32; rounding is to nearest, ties to even; NaN stays NaN.
uint16_t bf16_from_f32(float value);
float f32_from_bf16(uint16_t bits);
// IEEE binary16, subnormals included.
float f32_from_f16(uint16_t bits);
uint16_t f16_from_f32(float value);

}  // namespace potluck
