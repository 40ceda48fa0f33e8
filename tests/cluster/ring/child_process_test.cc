// Programs are heard, end when they are told to, and leave their last words.
#include "cluster/ring/child_process.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <system_error>
#include <thread>

#include "cluster/cli/interrupt.h"
#include "topology/base/fault.h"

namespace potluck {
namespace {

Time soon() {
  return now() + from_seconds(20);
}

ChildProcess shell(const std::string& script) {
  return ChildProcess("sh", {"sh", "-c", script});
}

constexpr size_t kPageBytes = 4096;

// Counts what this process's open logs take of the memory.
size_t bytes_of_logs() {
  constexpr size_t kBlockBytes = 512;
  size_t bytes = 0;
  for (const auto& file : std::filesystem::directory_iterator("/proc/self/fd")) {
    struct stat facts = {};
    std::error_code closed_since;
    const auto name = std::filesystem::read_symlink(file.path(), closed_since).string();
    if (name.rfind("/memfd:potluck-log", 0) == 0 && stat(file.path().c_str(), &facts) == 0)
      bytes += static_cast<size_t>(facts.st_blocks) * kBlockBytes;
  }
  return bytes;
}

TEST(ChildProcess, ItsLinesAreHeardOneByOneAndThenTheRest) {
  ChildProcess child = shell("echo one; echo two; echo three; printf four");
  EXPECT_EQ(child.line(soon()), "one");
  EXPECT_EQ(child.line(soon()), "two");
  EXPECT_EQ(child.rest(soon(), 100), "three\nfour");
}

TEST(ChildProcess, MoreThanWasAskedForIsNotTaken) {
  ChildProcess child = shell("yes");
  EXPECT_FALSE(child.rest(soon(), 100));
}

TEST(ChildProcess, SilenceAndAnEndAreNoLines) {
  ChildProcess silent = shell("sleep 60"), ended = shell("printf half");
  EXPECT_FALSE(silent.line(now() + from_seconds(0.05)));
  EXPECT_FALSE(silent.has_ended());
  EXPECT_FALSE(ended.line(soon()));
}

// The signal may come to any thread of this process.
TEST(ChildProcess, AnInterruptEndsTheWaitForALine) {
  ChildProcess silent = shell("sleep 60");
  catch_interrupts();
  std::jthread interrupts([] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    pthread_kill(pthread_self(), SIGINT);
  });
  const Time begin = now();
  EXPECT_THROW(silent.line(soon()), Fault);
  EXPECT_LT(seconds(now() - begin), 10);
  clear_interrupt();
}

TEST(ChildProcess, WhatWaitsForItsStdinEndsWhenThatCloses) {
  ChildProcess child = shell("cat; exit 3");
  EXPECT_FALSE(child.wait_until(now() + from_seconds(0.05)));
  child.close_stdin();
  EXPECT_TRUE(child.wait_until(soon()));
  EXPECT_EQ(child.code(), 3);
  EXPECT_EQ(child.ending(), "ended with code 3");
}

TEST(ChildProcess, PulsesComeUntilItsStdinCloses) {
  ChildProcess child = shell("read pulse && echo \"<$pulse>\"; cat >/dev/null; echo end");
  child.send_pulses();
  EXPECT_EQ(child.line(soon()), "<>");
  child.close_stdin();
  EXPECT_EQ(child.line(soon()), "end");
}

TEST(ChildProcess, AProgramThatReadsNothingAnyMoreIsNoHarm) {
  ChildProcess child = shell("exec <&-; echo closed; sleep 60");
  EXPECT_EQ(child.line(soon()), "closed");
  child.send_pulses();
  child.close_stdin();
  EXPECT_FALSE(child.has_ended());
}

TEST(ChildProcess, AProgramThatIsNotThereSaysSoInItsLog) {
  ChildProcess child("/nowhere/potluck", {"potluck"});
  ASSERT_TRUE(child.wait_until(soon()));
  EXPECT_EQ(child.code(), 127);
  EXPECT_EQ(child.log(), "cannot run /nowhere/potluck: No such file or directory");
}

TEST(ChildProcess, KilledIsNoCode) {
  ChildProcess child = shell("sleep 60");
  child.kill();
  EXPECT_EQ(child.code(), -1);
  EXPECT_EQ(child.ending(), "was killed by signal 9");
}

TEST(ChildProcess, TheLastLinesAreWholeAndNoMoreThanAsked) {
  ChildProcess child = shell("for i in $(seq 100); do echo line $i >&2; done");
  ASSERT_TRUE(child.wait_until(soon()));
  EXPECT_EQ(child.last_lines(2, 1000), (std::vector<std::string>{"line 99", "line 100"}));
  EXPECT_EQ(child.last_lines(20, 20), (std::vector<std::string>{"line 99", "line 100"}));
  EXPECT_EQ(child.last_lines(20, 10000).size(), 20u);
}

TEST(ChildProcess, ALongLogIsTrimmedToItsEnd) {
  ChildProcess child = shell("seq 300000 >&2");  // 2 MB
  ASSERT_TRUE(child.wait_until(soon()));
  const std::string shown = child.log();
  EXPECT_LE(shown.size(), kLogBytesMax);
  EXPECT_GT(bytes_of_logs(), kLogBytesMax + kPageBytes);
  child.trim_log();
  EXPECT_LE(bytes_of_logs(), kLogBytesMax + kPageBytes);
  EXPECT_EQ(child.log(), shown);
  EXPECT_EQ(child.last_lines(1, 100), std::vector<std::string>{"300000"});
}

}  // namespace
}  // namespace potluck
