// Draws: decisions out of a fuzzer's bytes. When those are used up, each is the first one, so that
// a short input does little.
#pragma once

#include <cstddef>
#include <cstdint>

namespace potluck {

class Draws final {
 public:
  Draws(const uint8_t* data, size_t size) : data_(data), end_(data + size) {}

  bool empty() const { return data_ == end_; }
  uint64_t below(uint64_t count) {
    uint64_t value = 0;
    for (uint64_t range = 1; range < count && data_ != end_; range <<= 8)
      value = value << 8 | *data_++;
    return value % count;
  }
  // False when the bytes are used up.
  bool once_in(uint64_t count) { return below(count) == count - 1; }

  template <typename T, size_t N>
  T one_of(const T (&values)[N]) {
    return values[below(N)];
  }

 private:
  const uint8_t* data_;
  const uint8_t* const end_;
};

}  // namespace potluck
