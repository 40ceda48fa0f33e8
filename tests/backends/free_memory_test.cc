// Memory that is free by what a made-up machine's /proc and /sys say of it and of its cgroups.
#include "backends/cpu/free_memory.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <string>

namespace potluck {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMiB = 1 << 20;

class FreeMemoryTest : public testing::Test {
 protected:
  FreeMemoryTest() : root_(testing::TempDir() + "potluck-memory-" + std::to_string(getpid())) {
    write("proc/meminfo", "MemTotal: 9000 kB\nMemFree: 100 kB\nMemAvailable: 8388608 kB\n");
  }
  ~FreeMemoryTest() override { fs::remove_all(root_); }

  void write(const std::string& path, const std::string& text) const {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  void group_1(const std::string& group, uint64_t limit, uint64_t used, uint64_t files) const {
    const std::string folder = "sys/fs/cgroup/memory" + group;
    write(folder + "/memory.limit_in_bytes", std::to_string(limit));
    write(folder + "/memory.usage_in_bytes", std::to_string(used));
    write(folder + "/memory.stat", "inactive_file 1\ntotal_inactive_file " + std::to_string(files) +
                                       "\ntotal_active_file 0\n");
  }
  void group_2(const std::string& group, const std::string& limit, uint64_t used) const {
    const std::string folder = "sys/fs/cgroup" + group;
    write(folder + "/memory.max", limit);
    write(folder + "/memory.current", std::to_string(used));
    write(folder + "/memory.stat", "anon 7\ninactive_file 0\nactive_file 1048576\n");
  }
  void in_groups(const std::string& lines) const { write("proc/self/cgroup", lines); }
  uint64_t free_mib() const { return free_memory(root_) / kMiB; }

  const fs::path root_;
};

TEST_F(FreeMemoryTest, WithoutALimitIsWhatTheMachineHasAvailable) {
  EXPECT_EQ(free_mib(), 8192u);
  in_groups("4:memory:/\n0::/\n");
  group_1("", 0x7FFFFFFFFFFFF000, 5 * kMiB, 0);
  group_2("", "max", 5 * kMiB);
  EXPECT_EQ(free_mib(), 8192u);
}

TEST_F(FreeMemoryTest, ALimitOfVersion2CountsWithoutTheFilesThatCanBeDropped) {
  in_groups("0::/user.slice/app.scope\n");
  group_2("/user.slice/app.scope", std::to_string(100 * kMiB), 31 * kMiB);
  EXPECT_EQ(free_mib(), 70u);
}

TEST_F(FreeMemoryTest, ALimitOfVersion1Counts) {
  in_groups("9:name=systemd:/x\n4:cpu,memory:/docker/abc\n");
  group_1("/docker/abc", 100 * kMiB, 60 * kMiB, 20 * kMiB);
  EXPECT_EQ(free_mib(), 60u);
}

TEST_F(FreeMemoryTest, TheLeastOfAGroupAndThoseAroundItCounts) {
  in_groups("0::/a/b/c\n");
  group_2("/a/b/c", std::to_string(100 * kMiB), kMiB);
  group_2("/a/b", "max", 90 * kMiB);
  group_2("/a", std::to_string(120 * kMiB), 91 * kMiB);
  EXPECT_EQ(free_mib(), 30u);
}

// A container sees its own group as the mount, and a path that means something outside alone.
TEST_F(FreeMemoryTest, WithinAContainerTheMountIsTheGroup) {
  in_groups("4:memory:/docker/abc\n0::/docker/abc\n");
  group_1("", 100 * kMiB, 10 * kMiB, 0);
  EXPECT_EQ(free_mib(), 90u);
}

TEST_F(FreeMemoryTest, ALimitThatIsPassedLeavesNothing) {
  in_groups("0::/a\n");
  group_2("/a", std::to_string(10 * kMiB), 30 * kMiB);
  EXPECT_EQ(free_memory(root_), 0u);
}

TEST_F(FreeMemoryTest, WithoutProcTheSystemIsAsked) {
  fs::remove_all(root_);
  EXPECT_GT(free_memory(root_), kMiB);
}

}  // namespace
}  // namespace potluck
