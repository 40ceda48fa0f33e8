// A block that is alive on the emulated GPU: its threads in groups of 32 lanes, and whom they wait
// for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/emulator/fiber.h"
#include "tests/emulator/shared_memory.h"
#include "tests/emulator/warp.h"
#include "tests/kernels/gpu/random.h"

namespace potluck::emulator {

enum class Wait : uint8_t { nothing, barrier, warp_sync, shuffle, ballot, exchange, ended };

// A copy of 16 bytes on its way to shared memory.
struct Copy {
  uint64_t* to;
  const uint64_t* from;  // nullptr: `lands` is known
  uint64_t lands[2];
  int group;
  Site site;
};

struct Thread {
  Thread(std::span<std::byte> stack, void (*body)()) : fiber(stack, body) {}

  Fiber fiber;
  Place place;
  Wait wait = Wait::nothing;  // what it came to last
  Site site;                  // and where
  std::vector<Copy> copies;
  int copy_group = 0;  // that a copy begun now belongs to
};

// Values that lanes give lie here twice: some lanes give their next values before others have read
// the last ones.
struct Group {
  uint32_t members = 0, ready = 0, arrived = 0;  // a bit for each lane
  int first = 0;                                 // the lane that arrived first
  int turn = 0;
  int words[2][kLanes];
  alignas(64) std::byte values[2][kLanes][kExchangeBytesMax];
};

class Block final {
 public:
  // Makes threads that run `body`, where there are fewer than `count`.
  void grow(int count, void (*body)());
  // A block begins, with as many threads. Returns what an earlier block did wrong, or "".
  std::string begin(int threads, Place place, uint64_t seed, Random& random);
  // Returns what the block did wrong, or "".
  std::string end();

  Thread& thread(int index) { return *threads_[index]; }
  Group& group_of(const Thread& thread) { return groups_[thread.place.thread / kLanes]; }
  SharedMemory& shared() { return shared_; }

  // One that can run; `near`'s group is preferred. There must be one.
  Thread& choose(const Thread* near, Random& random);
  bool has_ready() const { return ready_groups_ != 0; }
  bool has_ended() const { return ended_ == count_; }

  // The thread comes to a place where it waits for its block or its group; the last to come frees
  // all. Throws std::logic_error if others of them wait elsewhere.
  void arrive(Thread& thread, Wait wait, Site site);
  void end(Thread& thread);
  // Who waits where.
  std::string describe() const;
  // TSan is told to order by this address: by the barrier, or the group's, that is to come.
  void* order_of(const Thread& thread, Wait wait);
  // Blocks follow one another here, in the same shared memory: what a block's threads release when
  // they end, the next one's acquire when they begin.
  void* order_after() { return &order_of_blocks_[number_ % 2]; }
  void* order_before() { return &order_of_blocks_[1 - number_ % 2]; }

 private:
  void leave(Thread& thread);
  void release_block();
  void release_group(Group& group, int first_thread);

  std::vector<std::unique_ptr<Stacks>> stacks_;
  std::vector<std::unique_ptr<Thread>> threads_;
  std::vector<Group> groups_;
  SharedMemory shared_;
  int count_ = 0, at_barrier_ = 0, ended_ = 0;
  int first_at_barrier_ = 0;
  int turn_ = 0;
  uint32_t ready_groups_ = 0;
  char order_[2] = {}, order_of_blocks_[2] = {};
  unsigned number_ = 0;  // of the blocks that began here
};

}  // namespace potluck::emulator
