// One process at a time has a lock, others see which, and a signal reaches that one alone.
#include "topology/base/lock_file.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

namespace potluck {
namespace {

namespace fs = std::filesystem;

class LockFileTest : public testing::Test {
 protected:
  LockFileTest() {
    char path[] = "/tmp/lock-XXXXXX";
    folder_ = mkdtemp(path);
    path_ = folder_ + "/lock";
  }
  ~LockFileTest() override { fs::remove_all(folder_); }

  std::string folder_, path_;
};

TEST_F(LockFileTest, OneHasItAndOthersSeeWhichProcess) {
  const LockFile other(path_);
  EXPECT_FALSE(other.is_held());
  {
    LockFile lock(path_);
    ASSERT_TRUE(lock.take());
    EXPECT_TRUE(other.is_held());
    EXPECT_EQ(other.owner(), 0);
    lock.belongs_to(getpid());
    EXPECT_EQ(other.owner(), getpid());
    EXPECT_FALSE(LockFile(path_).take());
  }
  EXPECT_FALSE(other.is_held());
  EXPECT_EQ(other.owner(), 0);
}

TEST_F(LockFileTest, ASignalReachesItsOwner) {
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    LockFile lock(path_);
    if (lock.take()) lock.belongs_to(getpid());
    if (write(ready[1], "x", 1) == 1) pause();
    _exit(0);
  }
  char letter = 0;
  ASSERT_EQ(read(ready[0], &letter, 1), 1);
  EXPECT_TRUE(LockFile(path_).signal_owner(SIGTERM));
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(WTERMSIG(status), SIGTERM);
  EXPECT_FALSE(LockFile(path_).signal_owner(SIGTERM));
}

TEST_F(LockFileTest, NobodyIsSignaledForANumberThatIsNoProcesss) {
  for (const char* text : {"", "0", "1", "-1", "-7", "x", "99999999999999999999"}) {
    LockFile lock(path_);
    ASSERT_TRUE(lock.take());
    std::ofstream(path_) << text;
    EXPECT_EQ(LockFile(path_).owner(), 0) << text;
    EXPECT_FALSE(LockFile(path_).signal_owner(SIGKILL)) << text;
  }
  std::ofstream(path_) << getpid();  // as a process that ended has left it
  EXPECT_FALSE(LockFile(path_).signal_owner(SIGKILL));
}

TEST_F(LockFileTest, ThoseThatLookDoNotKeepItFromWhoeverTakesIt) {
  std::atomic<bool> over = false;
  std::thread looks([&] {
    while (!over) (void)LockFile(path_).is_held();
  });
  for (int i = 0; i < 200; ++i) EXPECT_TRUE(LockFile(path_).take());
  over = true;
  looks.join();
}

TEST_F(LockFileTest, AFileThatWasRemovedIsNobodysLock) {
  LockFile lock(path_), next(path_);
  ASSERT_TRUE(lock.take());
  lock.remove();
  EXPECT_TRUE(next.take());
  EXPECT_TRUE(next.is_held());
}

}  // namespace
}  // namespace potluck
