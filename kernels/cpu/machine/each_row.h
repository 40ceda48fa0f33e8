// each_row shares rows among the threads of a pool, enough in a task to be worth one.
#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/cpu/machine/thread_pool.h"

namespace potluck::cpu {

// Runs body(row, thread) for each row.
template <typename Body>
void each_row(int64_t rows, ThreadPool& pool, const Body& body) {
  constexpr int64_t kRowsATask = 16;
  pool.for_each((rows + kRowsATask - 1) / kRowsATask, [&](int64_t task, int thread) {
    const int64_t end = std::min(rows, (task + 1) * kRowsATask);
    for (int64_t row = task * kRowsATask; row < end; ++row) body(row, thread);
  });
}

}  // namespace potluck::cpu
