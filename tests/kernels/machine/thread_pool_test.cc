// The pool pins its threads; operations_test.cc tests that it runs each index once.
#include "kernels/cpu/machine/thread_pool.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <atomic>
#include <mutex>
#include <set>
#include <thread>

namespace potluck::cpu {
namespace {

// The owner is a thread of its own, because the caller is pinned too.
TEST(ThreadPool, PinsEachThreadToACore) {
  cpu_set_t allowed;
  ASSERT_EQ(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
  if (CPU_COUNT(&allowed) < 2) GTEST_SKIP() << "this process may use one core";
  std::thread owner([] {
    ThreadPool pool(2, true);
    std::mutex mutex;
    std::set<int> cores;
    std::atomic<int> arrived{0};
    pool.for_each(2, [&](int64_t, int) {
      ++arrived;
      while (arrived < 2) std::this_thread::yield();  // so that no thread takes both
      cpu_set_t own;
      ASSERT_EQ(sched_getaffinity(0, sizeof(own), &own), 0);
      EXPECT_EQ(CPU_COUNT(&own), 1);
      const std::lock_guard lock(mutex);
      cores.insert(sched_getcpu());
    });
    EXPECT_EQ(cores.size(), 2u);
  });
  owner.join();
}

}  // namespace
}  // namespace potluck::cpu
