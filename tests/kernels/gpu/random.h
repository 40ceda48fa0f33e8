// Random numbers that cost a nanosecond, for choosing who runs next.
#pragma once

#include <cstdint>

namespace potluck::emulator {

// xorshift64*; any seed will do.
class Random final {
 public:
  explicit Random(uint64_t seed) : state_((seed + 1) * 0x9e3779b97f4a7c15 | 1) {}
  uint64_t next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545f4914f6cdd1d;
  }
  // Less than `bound`, which is at least 1.
  uint32_t below(uint32_t bound) { return (next() >> 32) * bound >> 32; }

 private:
  uint64_t state_;
};

}  // namespace potluck::emulator
