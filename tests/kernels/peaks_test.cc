// Peaks lie within what any machine that can run this could do; how fast this one is does not
// matter.
#include "kernels/cpu/fast/peaks.h"

#include <gtest/gtest.h>

#include <vector>

#include "kernels/cpu/packed/available.h"

namespace potluck::cpu {
namespace {

constexpr double kLeast = 1e8, kMost = 1e14;  // operations a second of a thread
constexpr double kReadLeast = 1e7, kReadMost = 1e12;

TEST(Peaks, EveryProductOfThisMachineHasOne) {
  ThreadPool pool(2);
  for (const Isa isa : {Isa::amx, Isa::avx512, Isa::avx2, Isa::portable}) {
    if (!isa_available(isa)) continue;
    for (const DType type : {DType::q8_0, DType::q4_k, DType::bf16})
      for (const Use use : {Use::many, Use::few, Use::fine}) {
        const double peak = product_peak({isa, type, use}, pool);
        SCOPED_TRACE(std::string(isa_name(isa)) + " " + dtype_name(type));
        EXPECT_GT(peak, kLeast);
        EXPECT_LT(peak, kMost * pool.threads());
      }
  }
}

TEST(Peaks, MemoryIsReadAndCachesAreCopiedAtSomeRate) {
  ThreadPool pool(2);
  const double rate = read_peak(64 << 20, pool);
  EXPECT_GT(rate, kReadLeast);
  EXPECT_LT(rate, kReadMost);
  for (size_t bytes : {size_t{0}, size_t{64} << 20}) {
    const double copied = copy_peak(bytes, pool);
    EXPECT_GT(copied, kReadLeast);
    EXPECT_LT(copied, kReadMost);
  }
}

TEST(Peaks, FreshMemoryIsTouchedAndBytesAreReadAtSomeRate) {
  ThreadPool pool(2);
  const double touched = touch_rate(64 << 20, pool);
  EXPECT_GT(touched, kReadLeast);
  EXPECT_LT(touched, kReadMost);
  const std::vector<std::byte> bytes((5 << 20) + 77);
  for (size_t skipped : {0, 13}) {
    const double read = read_rate(bytes.data() + skipped, bytes.size() - skipped, pool);
    EXPECT_GT(read, kReadLeast);
    EXPECT_LT(read, kReadMost);
  }
  EXPECT_GT(read_rate(bytes.data() + 1, 5, pool), 0) << "less than a line";
}

TEST(Peaks, NamesTellProductsApart) {
  EXPECT_STREQ(product_name({}), "f32 reference");
  if (!isa_available(Isa::avx512)) GTEST_SKIP() << "no avx512 on this machine";
  EXPECT_STREQ(product_name({Isa::avx512, DType::q8_0, Use::many}), "int8");
  EXPECT_STREQ(product_name({Isa::avx512, DType::q8_0, Use::fine}), "int8 fine");
  EXPECT_STREQ(product_name({Isa::avx512, DType::bf16, Use::fine}), "int16");
}

}  // namespace
}  // namespace potluck::cpu
