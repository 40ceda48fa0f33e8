// The emulated GPU of the calling host thread: the blocks that are alive, and the order in which
// their threads run.
#pragma once

#include <exception>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tests/emulator/block.h"
#include "tests/emulator/emulator.h"
#include "tests/emulator/fiber.h"
#include "tests/kernels/gpu/random.h"

namespace potluck::emulator {

// Is told of every thread that comes to a meeting or ends, with its group and how many lanes that
// has, where anything wants to know (accesses.h).
extern void (*on_arrive)(const char* kernel, const void* group, int lanes);

class Machine final {
 public:
  void run(const Program& program, Grid grid, const void* operands, const Options& options);

  // For the thread that runs.
  Thread& thread() { return *thread_; }
  Block& block() { return *block_; }
  Random& random() { return random_; }
  void wait(Wait what, Site site);
  // Whether it lies in the operands of the launch, which are no memory of a card.
  bool is_operand(const void* at) const {
    const auto* byte = static_cast<const std::byte*>(at);
    return byte >= operands_.data() && byte < operands_.data() + operands_.size();
  }
  // Others may run now.
  void give_way();

 private:
  static void run_threads();  // the body of every fiber

  void run_thread();
  void begin_block(int number);
  void end_block();
  void check(const std::string& wrong, const Place& place) const;
  void tell_arrival(const Thread& thread);
  void forget_threads();
  // Chooses who runs next, and switches to it.
  void go_on(Fiber& from);
  Thread* choose();

  Program program_;
  Grid grid_;
  Options options_;
  std::vector<std::byte> operands_, operands_given_;
  std::vector<std::unique_ptr<Block>> alive_, free_;
  Fiber host_;
  Block* block_ = nullptr;
  Thread* thread_ = nullptr;
  Random random_{0};
  std::exception_ptr failure_;
  // For TSan: threads come after the launch began, and the host after what they did.
  char begun_ = 0, left_ = 0;
};

// The calling host thread's.
Machine& machine();

}  // namespace potluck::emulator
