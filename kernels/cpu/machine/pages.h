// Pages: host memory straight from the system, which zeroes it. From the size of one huge page on
// it lies on huge pages, where the system allows them.
#pragma once

#include <cstddef>

#include "kernels/cpu/machine/thread_pool.h"

namespace potluck::cpu {

class Pages final {
 public:
  // Throws Fault{memory}. The system zeroes a page when it is first touched; the constructor
  // touches none.
  explicit Pages(size_t bytes);
  ~Pages();
  Pages(Pages&& other) noexcept;
  Pages& operator=(Pages&& other) noexcept;

  std::byte* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  void touch(ThreadPool& pool);  // touches every page, by all threads: zeroing takes a while

  static constexpr size_t kHugePage = size_t{2} << 20;

 private:
  std::byte* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace potluck::cpu
