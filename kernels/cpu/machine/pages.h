// Host memory straight from the system: zeroed, and from one huge page's worth on, on huge pages
// where it allows them.
#pragma once

#include <cstddef>

#include "kernels/cpu/machine/thread_pool.h"

namespace potluck::cpu {

class Pages final {
 public:
  // Throws Fault{memory}. Nothing is touched yet: a page is zeroed by the system when it first is.
  explicit Pages(size_t bytes);
  ~Pages();
  Pages(Pages&& other) noexcept;
  Pages& operator=(Pages&& other) noexcept;

  std::byte* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  void touch(ThreadPool& pool);  // all of them, by all threads: zeroing takes a while

  static constexpr size_t kHugePage = size_t{2} << 20;

 private:
  std::byte* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace potluck::cpu
