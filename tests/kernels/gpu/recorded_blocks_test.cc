// The low-bit blocks that ggml opened are opened by the GPU's gather to the same bits.
#include <gtest/gtest.h>

#include <cctype>
#include <cstring>
#include <numeric>
#include <string>

#include "cluster/verify/tensor_file.h"
#include "kernels/gpu/exact/embed.h"
#include "tests/emulator/emulator.h"
#include "tests/kernels/gpu/stored_weights.h"

namespace potluck {
namespace {

constexpr DType kLowBit[] = {DType::iq2_xxs, DType::iq2_xs, DType::iq2_s, DType::iq3_xxs,
                             DType::iq3_s,   DType::iq1_s,  DType::iq1_m, DType::mxfp4};

// The values of all rows of a table.
std::vector<float> gather(emulator::Vendor vendor, const gpu::Weights& table) {
  std::vector<int32_t> ids(table.rows);
  std::iota(ids.begin(), ids.end(), 0);
  std::vector<float> out(table.rows * table.columns);
  emulator::run(vendor, {static_cast<int>(table.rows)},
                gpu::Embed{ids.data(), table, 1.0f, out.data()});
  return out;
}

TEST(GpuRecordedBlocks, AreOpenedAsGgmlDoesBitForBit) {
  constexpr int64_t kColumns = 512;
  const TensorFile recorded(POTLUCK_GOLDEN "/blocks_low_bit.safetensors");
  for (const DType type : kLowBit) {
    std::string name = dtype_name(type);
    for (char& c : name) c = std::toupper(c);
    const auto blocks = recorded.bytes(name + ".blocks");
    const auto expected = recorded.floats(name + ".values");
    const gpu::Weights table{blocks.data(), std::ssize(expected) / kColumns, kColumns,
                             static_cast<int64_t>(row_bytes(type, kColumns)), stored_type(type)};
    ASSERT_EQ(table.rows * table.row_bytes, std::ssize(blocks)) << name;
    for (const auto vendor : emulator::kVendors) {
      const std::vector<float> out = gather(vendor, table);
      EXPECT_EQ(std::memcmp(out.data(), expected.data(), out.size() * sizeof(float)), 0)
          << name << " on " << emulator::name_of(vendor);
    }
  }
}

}  // namespace
}  // namespace potluck
