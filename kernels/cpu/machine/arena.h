// Arena hands out aligned pieces of one reserved block. Without a block it only counts bytes.
#pragma once

#include <cstddef>

namespace potluck::cpu {

class Arena final {
 public:
  explicit Arena(void* block) : block_(static_cast<std::byte*>(block)) {}

  template <typename T>
  T* take(size_t count) {
    std::byte* at = block_ ? block_ + used_ : nullptr;
    used_ += (count * sizeof(T) + kAlignment - 1) / kAlignment * kAlignment;
    return reinterpret_cast<T*>(at);
  }
  size_t used() const { return used_; }

 private:
  static constexpr size_t kAlignment = 64;  // a cache line, and the widest vector
  std::byte* block_;
  size_t used_ = 0;
};

}  // namespace potluck::cpu
