// Pages begin where huge pages do, are zero, and belong to one owner at a time.
#include "kernels/cpu/machine/pages.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

namespace potluck::cpu {
namespace {

constexpr size_t kSizes[] = {0,
                             1,
                             4096,
                             Pages::kHugePage - 1,
                             Pages::kHugePage,
                             Pages::kHugePage + 1,
                             3 * Pages::kHugePage + 12345};

TEST(Pages, AreZeroAndAsManyBytesAsWereAskedFor) {
  ThreadPool pool(2);
  for (size_t size : kSizes) {
    SCOPED_TRACE(size);
    Pages pages(size);
    EXPECT_EQ(pages.bytes(), std::max<size_t>(size, 1));
    pages.touch(pool);
    EXPECT_TRUE(std::all_of(pages.data(), pages.data() + pages.bytes(),
                            [](std::byte b) { return b == std::byte{0}; }));
    std::memset(pages.data(), 7, pages.bytes());
  }
}

TEST(Pages, OfAHugePageOrMoreBeginWhereOneDoes) {
  for (size_t size : kSizes) {
    if (size < Pages::kHugePage) continue;
    const Pages pages(size);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(pages.data()) % Pages::kHugePage, 0u) << size;
  }
}

TEST(Pages, GoFromOneToAnother) {
  Pages first(Pages::kHugePage + 1);
  std::byte* data = first.data();
  data[Pages::kHugePage] = std::byte{5};
  Pages second(std::move(first));
  EXPECT_EQ(second.data(), data);
  Pages third(1);
  third = std::move(second);
  EXPECT_EQ(third.data(), data);
  EXPECT_EQ(third.bytes(), Pages::kHugePage + 1);
  EXPECT_EQ(third.data()[Pages::kHugePage], std::byte{5});
}

}  // namespace
}  // namespace potluck::cpu
