// Threads of one backend. Blocking, no spinning: neighbours on the same host are not starved.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace potluck::cpu {

std::vector<int> allowed_cores();  // those that this process may use; none if it cannot be told

class ThreadPool final {
 public:
  // threads ≥ 1; the caller is one of them. pin: each, the caller too, to a core of its own among
  // those that this process may use, as far as they go.
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
