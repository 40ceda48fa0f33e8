// Whoever comes last to a meeting frees the others and goes on; nobody looks for meetings.
#include "tests/emulator/block.h"

#include <bit>
#include <map>
#include <stdexcept>

#include "tests/emulator/sanitizers.h"

namespace potluck::emulator {
namespace {

const char* name_of(Wait wait) {
  constexpr const char* kNames[] = {"can run",         "wait at barrier", "wait at warp_sync",
                                    "wait at shuffle", "wait at ballot",  "wait at an exchange",
                                    "have ended"};
  return kNames[static_cast<size_t>(wait)];
}

std::string where(const Thread& thread) {
  std::string text = name_of(thread.wait);
  if (thread.wait != Wait::nothing && thread.wait != Wait::ended)
    text += std::string(" (") + thread.site.file_name() + ":" + std::to_string(thread.site.line()) +
            ")";
  return text;
}

bool is_elsewhere(const Thread& a, const Thread& b) {
  return a.wait != b.wait || a.site.line() != b.site.line();
}

// The first bit from a place on that the low bits of `random` choose.
int random_bit(uint32_t bits, uint64_t random) {
  const int from = random % 32;
  return (std::countr_zero(std::rotr(bits, from)) + from) % 32;
}

}  // namespace

void Block::grow(int count, void (*body)()) {
  const int have = static_cast<int>(threads_.size());
  if (count <= have) return;
  stacks_.push_back(std::make_unique<Stacks>(count - have));
  for (int t = have; t < count; ++t)
    threads_.push_back(std::make_unique<Thread>((*stacks_.back())[t - have], body));
}

std::string Block::begin(int threads, Place place, uint64_t seed, Random& random) {
  count_ = threads;
  at_barrier_ = ended_ = 0;
  ++number_;
  groups_.resize((threads + kLanes - 1) / kLanes);
  ready_groups_ = ~0u >> (32 - groups_.size());
  for (size_t g = 0; g < groups_.size(); ++g) {
    const int lanes = std::min<int>(kLanes, threads - static_cast<int>(g) * kLanes);
    groups_[g].members = groups_[g].ready = ~0u >> (32 - lanes);
    groups_[g].arrived = 0;
  }
  for (int t = 0; t < threads; ++t) {
    Thread& thread = *threads_[t];
    thread.place = {t, place.block_x, place.block_y};
    thread.wait = Wait::nothing;
    thread.copies.clear();
    thread.copy_group = 0;
  }
  return shared_.open(seed, random);
}

std::string Block::end() {
  std::string wrong = shared_.overrun();
  shared_.close();
  return wrong;
}

Thread& Block::choose(const Thread* near, Random& random) {
  const uint64_t bits = random.next();  // whose highest are the best
  size_t group = near ? near->place.thread / kLanes : 0;
  if (!near || !groups_[group].ready || bits >> 61 == 0)
    group = random_bit(ready_groups_, bits >> 56);
  return *threads_[group * kLanes + random_bit(groups_[group].ready, bits >> 48)];
}

void Block::leave(Thread& thread) {
  Group& group = group_of(thread);
  group.ready &= ~(1u << thread.place.thread % kLanes);
  if (!group.ready) ready_groups_ &= ~(1u << thread.place.thread / kLanes);
}

void Block::arrive(Thread& thread, Wait wait, Site site) {
  const int index = thread.place.thread, lane = index % kLanes;
  Group& group = group_of(thread);
  thread.wait = wait;
  thread.site = site;
  const bool is_barrier = wait == Wait::barrier;
  const bool is_first = is_barrier ? at_barrier_ == 0 : group.arrived == 0;
  if (is_first) (is_barrier ? first_at_barrier_ : group.first) = index;
  const Thread& first = *threads_[is_barrier ? first_at_barrier_ : group.first];
  if (is_elsewhere(thread, first))
    throw std::logic_error("threads that belong together part: thread " + std::to_string(index) +
                           ": " + where(thread) + ", thread " + std::to_string(first.place.thread) +
                           ": " + where(first));
  leave(thread);
  if (is_barrier && ++at_barrier_ == count_) release_block();
  if (!is_barrier && (group.arrived |= 1u << lane) == group.members)
    release_group(group, index - lane);
}

void Block::release_block() {
  for (Group& group : groups_) group.ready = group.members;
  ready_groups_ = ~0u >> (32 - groups_.size());
  at_barrier_ = 0;
  turn_ ^= 1;
}

void Block::release_group(Group& group, int first_thread) {
  group.ready = group.members;
  group.arrived = 0;
  group.turn ^= 1;
  ready_groups_ |= 1u << first_thread / kLanes;
}

void Block::end(Thread& thread) {
  thread.wait = Wait::ended;
  leave(thread);
  ++ended_;
}

std::string Block::describe() const {
  std::string text;
  for (int t = 0; t < count_;) {
    int last = t;
    while (last + 1 < count_ && !is_elsewhere(*threads_[last + 1], *threads_[t])) ++last;
    text += (t ? ", " : "") + std::string(t == last ? "thread " : "threads ") + std::to_string(t) +
            (t == last ? "" : "-" + std::to_string(last)) + ": " + where(*threads_[t]);
    t = last + 1;
  }
  return text;
}

void* Block::order_of(const Thread& thread, Wait wait) {
  if (wait == Wait::barrier) return &order_[turn_];
  Group& group = group_of(thread);
  return &group.words[group.turn];
}

}  // namespace potluck::emulator
