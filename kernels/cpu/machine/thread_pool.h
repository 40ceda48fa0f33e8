// ThreadPool: the threads of one backend. They block while they wait and never spin, so that
// neighbours on the same host are not starved.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace potluck::cpu {

std::vector<int> allowed_cores();  // that this process may use; empty if the system does not tell

class ThreadPool final {
 public:
  // threads ≥ 1; the caller is one of them. With `pin` each of them, the caller too, is bound to a
  // core of its own among those that this process may use, as long as there are enough.
  explicit ThreadPool(int threads, bool pin = false);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const;
  // Runs task(index, thread) for index in [0, count), each once, thread in [0, threads()); returns
  // when all are done. Which thread takes which index is free, so results must not depend on it.
  void for_each(int64_t count, const std::function<void(int64_t index, int thread)>& task);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace potluck::cpu
