// The GPU's packing of hops on the emulator, to the reference's bits.
#include "kernels/gpu/exact/hop.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "kernels/cpu/reference/dequantize.h"
#include "tests/emulator/emulator.h"
#include "tests/kernels/gpu/stored_weights.h"

namespace potluck {
namespace {

constexpr DType kWireTypes[] = {DType::f32, DType::bf16, DType::f16, DType::q8_0};

int blocks(int64_t count, int values) {
  return (count + values - 1) / values;
}

std::vector<uint8_t> reference(DType type, const std::vector<float>& x) {
  std::vector<uint8_t> wire(row_bytes(type, x.size()));
  cpu::quantize_row(type, x.data(), wire.data(), x.size());
  return wire;
}

std::vector<uint8_t> pack(emulator::Vendor vendor, DType type, const std::vector<float>& x) {
  std::vector<uint8_t> wire(row_bytes(type, x.size()), 0xee);
  const int64_t count = x.size();
  emulator::run(vendor, {blocks(count, gpu::kPackValues)},
                gpu::Pack{x.data(), wire.data(), count, stored_type(type)});
  return wire;
}

TEST(GpuHop, PacksToTheReferencesBits) {
  for (const auto vendor : emulator::kWarpSizes)
    for (const DType type : kWireTypes)
      for (const int64_t count : {32, 67, 96, 256, 544}) {
        if (count % block_shape(type).values) continue;
        const std::vector<float> x = random_values(count, 1, 9);
        EXPECT_EQ(pack(vendor, type, x), reference(type, x)) << dtype_name(type) << ' ' << count;
      }
}

// Zeros, subnormals, ties, what overflows 16 bits, infinities and NaN.
TEST(GpuHop, PacksOddValuesToTheReferencesBits) {
  const float infinity = std::numeric_limits<float>::infinity();
  std::vector<float> x = random_values(5 * 32, 2, 9);
  std::fill_n(x.begin(), 32, 0.0f);
  std::fill_n(x.begin() + 32, 32, -1e-44f);
  const float odd[] = {-0.0f,      1e-40f,        6e-8f,         -3e-5f,    65519.0f,
                       65520.0f,   -1e38f,        0x1.01p0f,     0x1.03p0f, 0x1.002p0f,
                       0x1.006p0f, std::nanf(""), -std::nanf("")};
  std::copy(std::begin(odd), std::end(odd), x.begin() + 64);
  x[100] = infinity;
  x[101] = -infinity;
  x[128] = x[135] = std::nanf("");
  x[136] = 100;
  for (const auto vendor : emulator::kWarpSizes)
    for (const DType type : kWireTypes)
      EXPECT_EQ(pack(vendor, type, x), reference(type, x)) << dtype_name(type);
}

TEST(GpuHop, UnpacksToTheReferencesBits) {
  for (const auto vendor : emulator::kWarpSizes)
    for (const DType type : kWireTypes)
      for (const int64_t count : {32, 67, 2048, 2080}) {
        if (count % block_shape(type).values) continue;
        const std::vector<uint8_t> wire = reference(type, random_values(count, 3, 9));
        std::vector<float> x(count + 1, -777), expected(count + 1, -777);
        cpu::dequantize_row(type, wire.data(), expected.data(), count);
        emulator::run(vendor, {blocks(count, gpu::kUnpackValues)},
                      gpu::Unpack{wire.data(), x.data(), count, stored_type(type)});
        EXPECT_EQ(x, expected) << dtype_name(type) << ' ' << count;
      }
}

}  // namespace
}  // namespace potluck
