// Threads wait for a round and take its indices from one counter; the last to finish wakes the
// caller.
#include "kernels/cpu/machine/thread_pool.h"

#include <pthread.h>
#include <sched.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>

#include "topology/base/fault.h"

namespace potluck::cpu {

std::vector<int> allowed_cores() {
  cpu_set_t set;
  std::vector<int> cores;
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return cores;
  for (int core = 0; core < CPU_SETSIZE; ++core)
    if (CPU_ISSET(core, &set)) cores.push_back(core);
  return cores;
}

struct ThreadPool::State {
  std::mutex mutex;
  std::condition_variable work, done;
  std::vector<std::thread> threads;
  const std::function<void(int64_t, int)>* task = nullptr;
  int64_t count = 0;
  std::atomic<int64_t> next{0};
  uint64_t round = 0;
  int busy = 0;
  bool stop = false;

  void take(int thread) {
    for (int64_t index = next++; index < count; index = next++) (*task)(index, thread);
  }

  void serve(int thread) {
    for (uint64_t seen = 0;;) {
      {
        std::unique_lock lock(mutex);
        work.wait(lock, [&] { return stop || round != seen; });
        if (stop) return;
        seen = round;
      }
      take(thread);
      const std::lock_guard lock(mutex);
      if (--busy == 0) done.notify_one();
    }
  }

  void end() {
    {
      const std::lock_guard lock(mutex);
      stop = true;
    }
    work.notify_all();
    for (std::thread& thread : threads) thread.join();
  }
};

namespace {

// Binds the calling thread to one core. This is a wish, which a container may refuse.
void pin_to(const std::vector<int>& cores, int thread) {
  if (cores.empty()) return;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cores[thread % cores.size()], &one);
  pthread_setaffinity_np(pthread_self(), sizeof(one), &one);
}

}  // namespace

ThreadPool::ThreadPool(int threads, bool pin) : state_(std::make_unique<State>()) {
  const std::vector<int> cores = pin ? allowed_cores() : std::vector<int>();
  try {
    for (int i = 1; i < threads; ++i)
      state_->threads.emplace_back([state = state_.get(), i, cores] {
        pin_to(cores, i);
        state->serve(i);
      });
  } catch (const std::system_error& error) {
    state_->end();
    throw Fault(FaultKind::world,
                "only " + std::to_string(this->threads()) + " of " + std::to_string(threads) +
                    " threads could be started: " + error.code().message(),
                Fix{"the limit of processes is too low (ulimit -u, or a container's pids.max): "
                    "raise it, or use fewer threads"});
  }
  pin_to(cores, 0);
}

ThreadPool::~ThreadPool() {
  state_->end();
}

int ThreadPool::threads() const {
  return state_->threads.size() + 1;
}

void ThreadPool::for_each(int64_t count, const std::function<void(int64_t, int)>& task) {
  State& s = *state_;
  if (s.threads.empty() || count <= 1) {
    for (int64_t index = 0; index < count; ++index) task(index, 0);
    return;
  }
  {
    const std::lock_guard lock(s.mutex);
    s.task = &task;
    s.count = count;
    s.next = 0;
    s.busy = s.threads.size();
    ++s.round;
  }
  s.work.notify_all();
  s.take(0);
  std::unique_lock lock(s.mutex);
  s.done.wait(lock, [&] { return s.busy == 0; });
}

}  // namespace potluck::cpu
