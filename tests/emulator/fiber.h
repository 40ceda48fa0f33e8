// A stack of its own that a computation can leave in the middle of a function and come back to.
#pragma once

#include <cstddef>
#include <span>

namespace potluck::emulator {

// Memory for stacks, taken from the system as it is touched. An unmapped page lies below each, so
// that a stack that is too small ends the program instead of another stack.
class Stacks final {
 public:
  explicit Stacks(size_t count);
  ~Stacks();
  Stacks(const Stacks&) = delete;
  Stacks& operator=(const Stacks&) = delete;

  // Starts differ by some cache lines: without that all stacks would meet in the same cache sets.
  std::span<std::byte> operator[](size_t index) const;

 private:
  std::byte* memory_;
  size_t count_;
};

// Fibers belong to the thread that made them. Sanitizers are told of every switch, and TSan that a
// switch orders nothing.
class Fiber final {
 public:
  // The calling thread, on the stack that it has.
  Fiber();
  // `body` begins when the fiber is switched to for the first time, and never returns.
  Fiber(std::span<std::byte> stack, void (*body)());
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Leaves this fiber, which is the one that runs, for `next`. Returns when this one is switched
  // to.
  void switch_to(Fiber& next);

 private:
  static void enter();

  void* top_ = nullptr;         // where its registers lie while another runs
  std::span<std::byte> stack_;  // ASan wants to know it
  void (*body_)() = nullptr;
  void* fake_stack_ = nullptr;  // ASan's
  void* tsan_ = nullptr;        // TSan's name for it
  bool own_ = false;            // made here, not the thread's
};

}  // namespace potluck::emulator
