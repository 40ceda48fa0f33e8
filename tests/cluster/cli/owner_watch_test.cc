// Others' work on a machine is told from potluck's, by folders like Linux's.
#include "cluster/cli/owner_watch.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "topology/base/fault.h"

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
  const MachinePlaces places_{root_ / "proc", root_ / "sys", FAKE_NVML};
  OwnerWatch watch_{places_};
};

TEST_F(OwnerWatches, TheFirstLookKnowsOfNoWork) {
  machine(1000, 0);
  EXPECT_EQ(watch_.look(now()).cpu_share, 0);
}

TEST_F(OwnerWatches, WorkOfOthersIsTheirShareOfAllCores) {
  machine(1000, 1000);
  watch_.look(now());
  machine(1060, 1140);
  EXPECT_DOUBLE_EQ(watch_.look(now()).cpu_share, 0.3);
}

TEST_F(OwnerWatches, WorkOfEveryPotluckIsNobodyElses) {
  machine(0, 0);
  process(10, "potluck", 0, 0);
  process(11, "potluck", 0, 0);
  process(12, "game) x (", 0, 0);
  watch_.look(now());
  machine(180, 20);
  process(10, "potluck", 90, 10);
  process(11, "potluck", 60, 0);
  process(12, "game) x (", 20, 0);
  EXPECT_DOUBLE_EQ(watch_.look(now()).cpu_share, 0.1);
}

TEST_F(OwnerWatches, APotluckThatEndedTakesNothingFromOthers) {
  machine(100, 0);
  process(10, "potluck", 90, 10);
  watch_.look(now());
  fs::remove_all(root_ / "proc/10");
  machine(150, 50);
  EXPECT_DOUBLE_EQ(watch_.look(now()).cpu_share, 0.5);
}

TEST_F(OwnerWatches, TheHottestSensorCounts) {
  EXPECT_EQ(watch_.look(now()).celsius, 0);
  write("sys/class/hwmon/hwmon0/temp1_input", "41000");
  write("sys/class/hwmon/hwmon1/temp1_input", "-5000");
  write("sys/class/hwmon/hwmon1/temp3_input", "83500");
  write("sys/class/hwmon/hwmon2/temp1_input", "no");
  EXPECT_EQ(watch_.look(now()).celsius, 83);
}

TEST_F(OwnerWatches, AMachineThatSaysNothingIsIdle) {
  for (int look = 0; look < 2; ++look) EXPECT_EQ(watch_.look(now()).cpu_share, 0);
}

// A process that has a card open.
class CardWatches : public OwnerWatches {
 protected:
  void client(int id, const std::string& name, const std::string& card, uint64_t nanoseconds) {
    const fs::path folder = fs::path("proc") / std::to_string(id);
    write(folder / "comm", name);
    write(folder / "fdinfo/7", "drm-pdev:\t" + card + "\ndrm-client-id:\t" + std::to_string(id) +
                                   "\ndrm-engine-gfx:\t" + std::to_string(nanoseconds) +
                                   " ns\ndrm-engine-dec:\t900000000 ns\n");
    fs::create_directories(root_ / folder / "fd");
    std::error_code there_already;
    fs::create_symlink("/dev/dri/renderD128", root_ / folder / "fd/7", there_already);
  }
  double amd_look(int second) {
    if (!amd_) amd_ = watch_card("hip:0", kAmd, places_);
    return amd_->look(start_ + from_seconds(second));
  }

  static constexpr char kAmd[] = "0000:03:00.0", kNvidia[] = "0000:01:00.0";
  const Time start_ = now();
  std::unique_ptr<CardWatch> amd_;
};

TEST_F(CardWatches, OnAmdsCardOthersEnginesCountAndOurOwnDoNot) {
  write(fs::path("sys/bus/pci/devices") / kAmd / "gpu_busy_percent", "95");
  client(20, "game", kAmd, 1'000'000'000);
  client(21, "potluck", kAmd, 0);
  client(22, "game", "0000:09:00.0", 0);
  EXPECT_EQ(amd_look(0), 0);
  client(20, "game", kAmd, 1'500'000'000);
  client(21, "potluck", kAmd, 900'000'000);
  client(22, "game", "0000:09:00.0", 900'000'000);
  EXPECT_DOUBLE_EQ(amd_look(1), 0.5);
  EXPECT_EQ(amd_look(2), 0);
}

TEST_F(CardWatches, OnAmdsCardNobodyUsesMoreThanTheCardDoes) {
  write(fs::path("sys/bus/pci/devices") / kAmd / "gpu_busy_percent", "30");
  client(20, "game", kAmd, 0);
  amd_look(0);
  client(20, "game", kAmd, 800'000'000);
  EXPECT_DOUBLE_EQ(amd_look(1), 0.3);
}

TEST_F(CardWatches, OnNvidiasCardTheNewestSampleOfEachOtherProcessCounts) {
  setenv("POTLUCK_FAKE_NVML", (root_ / "samples").c_str(), 1);
  write("proc/20/comm", "game");
  write("proc/21/comm", "potluck");
  write("samples", "20 100 99");
  const auto card = watch_card("cuda:0", kNvidia, places_);
  EXPECT_EQ(card->look(start_), 0);  // what was before is over
  write("samples", "20 100 99\n21 150 80\n20 200 10\n20 300 35\n77 300 50");
  EXPECT_DOUBLE_EQ(card->look(start_), 0.35);
  EXPECT_EQ(card->look(start_), 0);
}

TEST_F(CardWatches, ACardThatNothingTellsOfIsNamed) {
  const auto why_not = [&](const std::string& device, const MachinePlaces& places) {
    try {
      watch_card(device, "0000:07:00.0", places);
    } catch (const Fault& fault) {
      return fault.text();
    }
    return std::string("watched");
  };
  EXPECT_NE(why_not("hip:0", places_).find("0000:07:00.0/gpu_busy_percent"), std::string::npos);
  EXPECT_NE(why_not("cuda:0", places_).find("Not Found"), std::string::npos);
  EXPECT_NE(why_not("cuda:0", {root_, root_, "libnothing.so.7"}).find("libnothing.so.7"),
            std::string::npos);
}

TEST_F(CardWatches, ACardThatIsLostIsToldOnceAndTakenToBeIdle) {
  setenv("POTLUCK_FAKE_NVML", (root_ / "samples").c_str(), 1);
  write("proc/20/comm", "game");
  write("samples", "20 100 99");
  std::vector<std::string> told;
  OwnerWatch watch(places_, watch_card("cuda:0", kNvidia, places_),
                   [&](const std::string& line) { told.push_back(line); });
  write("samples", "lost");
  for (int look = 0; look < 3; ++look) EXPECT_EQ(watch.look(start_).card_share, 0);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_NE(told[0].find("GPU is lost"), std::string::npos) << told[0];
  write("samples", "20 300 40");
  EXPECT_DOUBLE_EQ(watch.look(start_).card_share, 0.4);
}

TEST_F(CardWatches, TheOwnersWatchLooksAtItsCardToo) {
  write(fs::path("sys/bus/pci/devices") / kAmd / "gpu_busy_percent", "95");
  OwnerWatch watch(places_, watch_card("hip:0", kAmd, places_));
  client(20, "game", kAmd, 0);
  watch.look(start_);
  client(20, "game", kAmd, 400'000'000);
  EXPECT_DOUBLE_EQ(watch.look(start_ + from_seconds(1)).card_share, 0.4);
}

TEST_F(OwnerWatches, ThisMachineSaysSomething) {
  OwnerWatch real;
  real.look(now());
  const OwnerActivity seen = real.look(now());
  EXPECT_GE(seen.cpu_share, 0);
  EXPECT_LE(seen.cpu_share, 1);
  EXPECT_GE(seen.minute_of_day, 0);
  EXPECT_LT(seen.minute_of_day, 24 * 60);
}

}  // namespace
}  // namespace potluck
