// Others' work on a machine is told from potluck's, by folders like Linux's.
#include "cluster/launch/owner_watch.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace potluck {
namespace {

namespace fs = std::filesystem;

class OwnerWatches : public testing::Test {
 protected:
  OwnerWatches() {
    write("proc/self/comm", "potluck");
    write("proc/cpuinfo", "");
  }
  ~OwnerWatches() override { fs::remove_all(root_); }

  void write(const fs::path& path, const std::string& line) {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << line << "\n";
  }
  void machine(int used, int idle) {
    write("proc/stat",
          "cpu  " + std::to_string(used) + " 0 0 " + std::to_string(idle) + " 0 0 0 0 0 0");
  }
  void process(int id, const std::string& name, int user, int system) {
    const fs::path folder = fs::path("proc") / std::to_string(id);
    write(folder / "comm", name);
    write(folder / "stat", std::to_string(id) + " (" + name + ") S 1 1 1 0 -1 4194560 1 0 0 0 " +
                               std::to_string(user) + " " + std::to_string(system) + " 0 0 20 0");
  }

  const fs::path root_ = fs::temp_directory_path() / ("owner_watch_" + std::to_string(getpid()));
  OwnerWatch watch_{{root_ / "proc", root_ / "sys"}};
};

TEST_F(OwnerWatches, TheFirstLookKnowsOfNoWork) {
  machine(1000, 0);
  EXPECT_EQ(watch_.look().cpu_share, 0);
}

TEST_F(OwnerWatches, WorkOfOthersIsTheirShareOfAllCores) {
  machine(1000, 1000);
  watch_.look();
  machine(1060, 1140);
  EXPECT_DOUBLE_EQ(watch_.look().cpu_share, 0.3);
}

TEST_F(OwnerWatches, WorkOfEveryPotluckIsNobodyElses) {
  machine(0, 0);
  process(10, "potluck", 0, 0);
  process(11, "potluck", 0, 0);
  process(12, "game) x (", 0, 0);
  watch_.look();
  machine(180, 20);
  process(10, "potluck", 90, 10);
  process(11, "potluck", 60, 0);
  process(12, "game) x (", 20, 0);
  EXPECT_DOUBLE_EQ(watch_.look().cpu_share, 0.1);
}

TEST_F(OwnerWatches, APotluckThatEndedTakesNothingFromOthers) {
  machine(100, 0);
  process(10, "potluck", 90, 10);
  watch_.look();
  fs::remove_all(root_ / "proc/10");
  machine(150, 50);
  EXPECT_DOUBLE_EQ(watch_.look().cpu_share, 0.5);
}

TEST_F(OwnerWatches, TheHottestSensorCounts) {
  EXPECT_EQ(watch_.look().celsius, 0);
  write("sys/class/hwmon/hwmon0/temp1_input", "41000");
  write("sys/class/hwmon/hwmon1/temp1_input", "-5000");
  write("sys/class/hwmon/hwmon1/temp3_input", "83500");
  write("sys/class/hwmon/hwmon2/temp1_input", "no");
  EXPECT_EQ(watch_.look().celsius, 83);
}

TEST_F(OwnerWatches, AMachineThatSaysNothingIsIdle) {
  for (int look = 0; look < 2; ++look) EXPECT_EQ(watch_.look().cpu_share, 0);
}

TEST_F(OwnerWatches, ThisMachineSaysSomething) {
  OwnerWatch real;
  real.look();
  const OwnerActivity seen = real.look();
  EXPECT_GE(seen.cpu_share, 0);
  EXPECT_LE(seen.cpu_share, 1);
  EXPECT_GE(seen.minute_of_day, 0);
  EXPECT_LT(seen.minute_of_day, 24 * 60);
}

}  // namespace
}  // namespace potluck
