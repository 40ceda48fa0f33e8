// Others find whether a coordinator that stays still lives, and clear away what is left of one that
// does not.
#include "coordinator/control/running_cluster.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "topology/base/fault.h"

namespace potluck {
namespace {

namespace fs = std::filesystem;

class RunningClusterTest : public testing::Test {
 protected:
  RunningClusterTest() {
    char path[] = "/tmp/running-XXXXXX";
    folder_ = mkdtemp(path);
  }
  ~RunningClusterTest() override { fs::remove_all(folder_); }

  // A process that claims the cluster, writes what it is, and ends without a word.
  void crash() {
    const pid_t child = fork();
    if (child == 0) {
      RunningCluster running(folder_, "lab");
      running.claim();
      running.write({ClusterState::Phase::up, getpid(), "demo", "lab.yaml", "", "", 7});
      _exit(0);
    }
    waitpid(child, nullptr, 0);
  }

  std::string folder_;
};

TEST_F(RunningClusterTest, WhileItIsClaimedOthersSeeItAndCannotHaveIt) {
  RunningCluster running(folder_, "lab");
  EXPECT_FALSE(running.is_there());
  EXPECT_FALSE(running.claim());  // nothing was left
  running.write({ClusterState::Phase::up, 42, "demo", "lab.yaml", "tcp://x:1", "", 7});
  RunningCluster other(folder_, "lab");
  EXPECT_TRUE(other.is_up());
  EXPECT_EQ(other.read()->pid, 42);
  EXPECT_EQ(other.read()->endpoint, "tcp://x:1");
  try {
    other.claim();
    FAIL();
  } catch (const Fault& fault) {
    EXPECT_NE(std::string(fault.what()).find("is up already (process 42)"), std::string::npos);
  }
  RunningCluster another(folder_, "other");
  EXPECT_FALSE(another.is_up());
  EXPECT_FALSE(another.claim());
}

TEST_F(RunningClusterTest, ItsFilesAreItsOwnersAlone) {
  RunningCluster running(folder_, "lab");
  running.claim();
  struct stat status {};
  ASSERT_EQ(stat((folder_ + "/lab").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
}

TEST_F(RunningClusterTest, WhatACrashLeftIsFoundAndClearedByTheNext) {
  crash();
  std::ofstream(folder_ + "/lab/control.sock") << "x";
  RunningCluster running(folder_, "lab");
  EXPECT_TRUE(running.is_there());
  EXPECT_FALSE(running.is_up());
  EXPECT_EQ(running.read()->model, "demo");
  EXPECT_TRUE(running.claim());
  EXPECT_FALSE(running.read());
  EXPECT_FALSE(fs::exists(folder_ + "/lab/control.sock"));
  running.remove();
  EXPECT_FALSE(running.is_there());
}

TEST_F(RunningClusterTest, AFileThatIsDamagedIsToldInOneLineAndKeepsNobodyFromCleaningUp) {
  for (const char* text : {"{\"phase\": \"up\", \"pi", "", "[]", "{\"phase\": 7}"}) {
    crash();
    std::ofstream(folder_ + "/lab/state.json") << text;
    RunningCluster running(folder_, "lab");
    try {
      running.read();
      FAIL() << text;
    } catch (const Fault& fault) {
      EXPECT_NE(std::string(fault.what()).find("is damaged"), std::string::npos) << fault.what();
      EXPECT_NE(std::string(fault.what()).find("potluck down"), std::string::npos);
    }
    EXPECT_TRUE(running.remove_left());
    EXPECT_FALSE(running.is_there());
  }
}

TEST_F(RunningClusterTest, WhatAnotherHasClaimedMeanwhileIsNotRemoved) {
  crash();
  RunningCluster down(folder_, "lab"), next(folder_, "lab");
  EXPECT_FALSE(down.is_up());
  EXPECT_TRUE(next.claim());
  next.write({ClusterState::Phase::starting, getpid(), "demo", "", "", "", 7});
  EXPECT_FALSE(down.remove_left());
  EXPECT_TRUE(next.read());
  EXPECT_EQ(down.owner(), getpid());
}

TEST_F(RunningClusterTest, NamesThatCouldBeNoFolderAreRefused) {
  for (const char* name : {"", "..", "a/b", "a b", "0123456789012345678901234567890123"})
    EXPECT_THROW(RunningCluster(folder_, name), Fault) << name;
  EXPECT_THROW(RunningCluster("", "lab"), Fault);
  EXPECT_THROW(RunningCluster(std::string(120, 'x'), "lab"), Fault);
}

}  // namespace
}  // namespace potluck
