// Threads switch to each other directly. The host's fiber runs when a block begins, has ended, can
// not go on or has failed.
#include "tests/emulator/machine.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "tests/emulator/sanitizers.h"

namespace potluck::emulator {
namespace {

constexpr int kThreadsMax = 1024, kGridMaxY = 65535;

std::vector<int> random_order(int count, Random& random) {
  std::vector<int> order(count);
  std::iota(order.begin(), order.end(), 0);
  for (int i = count; i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  return order;
}

}  // namespace

constinit thread_local const Place* running_place = nullptr;
void (*on_arrive)(const char*, const void*, int) = nullptr;

Machine& machine() {
  thread_local Machine machine;
  return machine;
}

void Machine::run(const Program& program, Grid grid, const void* operands, const Options& options) {
  if (grid.x < 1 || grid.y < 1 || grid.y > kGridMaxY || program.threads > kThreadsMax)
    throw std::logic_error(std::string(program.name) + ": no card takes a grid of " +
                           std::to_string(grid.x) + " × " + std::to_string(grid.y) + " blocks of " +
                           std::to_string(program.threads) + " threads");
  program_ = program;
  grid_ = grid;
  options_ = options;
  const auto* bytes = static_cast<const std::byte*>(operands);
  operands_.assign(bytes, bytes + program.operand_bytes);
  operands_given_ = operands_;
  random_ = Random(options.seed);
  const std::vector<int> order = random_order(grid.x * grid.y, random_);
  sanitizers::release(&begun_);
  try {
    for (size_t next = 0; next < order.size() || !alive_.empty();) {
      while (next < order.size() && static_cast<int>(alive_.size()) < options.blocks_alive)
        begin_block(order[next++]);
      go_on(host_);
      end_block();
    }
  } catch (...) {
    forget_threads();
    throw;
  }
}

void Machine::begin_block(int number) {
  if (free_.empty()) free_.push_back(std::make_unique<Block>());
  alive_.push_back(std::move(free_.back()));
  free_.pop_back();
  Block& block = *alive_.back();
  block.grow(program_.threads, run_threads);
  const Place place{0, number % grid_.x, number / grid_.x};
  check(block.begin(program_.threads, place, options_.seed, random_), place);
}

// The block of the thread that ran last.
void Machine::end_block() {
  sanitizers::acquire(&left_);
  const Place place = thread_->place;
  if (failure_) {
    try {
      std::rethrow_exception(std::exchange(failure_, nullptr));
    } catch (const std::logic_error& error) {
      check("thread " + std::to_string(place.thread) + ": " + error.what(), place);
    }
  }
  if (!block_->has_ended())
    check("threads wait for others that never come: " + block_->describe(), place);
  check(block_->end(), place);
  if (operands_ != operands_given_) check("its operands were written", place);
  const auto ended = std::find_if(alive_.begin(), alive_.end(),
                                  [&](const auto& block) { return block.get() == block_; });
  free_.push_back(std::move(*ended));
  alive_.erase(ended);
  block_ = nullptr;
  thread_ = nullptr;
}

void Machine::check(const std::string& wrong, const Place& place) const {
  if (!wrong.empty())
    throw std::logic_error(std::string(program_.name) + ", block (" +
                           std::to_string(place.block_x) + ", " + std::to_string(place.block_y) +
                           "), seed " + std::to_string(options_.seed) + ": " + wrong);
}

// Threads in the middle of a kernel cannot be used again.
void Machine::forget_threads() {
  alive_.clear();
  block_ = nullptr;
  thread_ = nullptr;
}

void Machine::go_on(Fiber& from) {
  if (!thread_ || random_.below(16) == 0)
    block_ = alive_[random_.below(static_cast<uint32_t>(alive_.size()))].get(), thread_ = nullptr;
  thread_ = &block_->choose(thread_, random_);
  running_place = &thread_->place;
  if (&thread_->fiber != &from) from.switch_to(thread_->fiber);
}

void Machine::wait(Wait what, Site site) {
  Thread& me = *thread_;
  Block& block = *block_;
  void* order =
      what == Wait::barrier || what == Wait::warp_sync ? block.order_of(me, what) : nullptr;
  if (order) sanitizers::release(order);
  sanitizers::release(&left_);
  tell_arrival(me);
  block.arrive(me, what, site);
  if (block.has_ready())
    go_on(me.fiber);
  else
    me.fiber.switch_to(host_);
  if (order) sanitizers::acquire(order);
}

void Machine::tell_arrival(const Thread& thread) {
  if (!on_arrive) return;
  const Group& group = block_->group_of(thread);
  on_arrive(program_.name, &group, std::popcount(group.members));
}

void Machine::give_way() {
  sanitizers::release(&left_);
  go_on(thread_->fiber);
}

void Machine::run_threads() {
  for (Machine& all = machine();;) all.run_thread();
}

void Machine::run_thread() {
  Thread& me = *thread_;
  sanitizers::acquire(&begun_);
  sanitizers::acquire(block_->order_before());
  try {
    program_.body(operands_.data());
    if (!me.copies.empty()) throw std::logic_error("it ends with copies that it did not wait for");
  } catch (...) {
    failure_ = std::current_exception();
  }
  sanitizers::release(block_->order_after());
  sanitizers::release(&left_);
  tell_arrival(me);
  block_->end(me);
  if (!failure_ && block_->has_ready())
    go_on(me.fiber);
  else
    me.fiber.switch_to(host_);
}

}  // namespace potluck::emulator
