// Fibers take turns: a thread runs until it waits for the others of its block or its warp.
#include "tests/emulator/emulator.h"

#include <ucontext.h>

#include <cstring>
#include <map>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/emulator/warp.h"

#define X(kernel, Operands, threads)                   \
  extern "C" void emulated_cuda_##kernel(const void*); \
  extern "C" void emulated_hip_##kernel(const void*);
POTLUCK_GPU_KERNELS(X)
#undef X

namespace potluck::emulator {
namespace {

using Body = void (*)(const void*);

constexpr Body kBodies[2][std::size(gpu::kKernels)] = {{
#define X(kernel, Operands, threads) emulated_cuda_##kernel,
                                                           POTLUCK_GPU_KERNELS(X)
#undef X
                                                       },
                                                       {
#define X(kernel, Operands, threads) emulated_hip_##kernel,
                                                           POTLUCK_GPU_KERNELS(X)
#undef X
                                                       }};

constexpr size_t kStackBytes = 256 << 10;
constexpr int kLanes = 32;

struct Fiber {
  ucontext_t context;
  std::unique_ptr<std::byte[]> stack{new std::byte[kStackBytes]};
  Place place;
  enum class State { runs, at_barrier, at_warp, ended } state = State::runs;
  int value = 0;           // what it gives to its warp
  std::vector<int> given;  // what the lanes of its warp gave
};

struct Block {
  std::vector<Fiber> fibers;
  ucontext_t scheduler;
  Fiber* current = nullptr;
  Body body = nullptr;
  const void* operands = nullptr;
  std::map<const void*, std::unique_ptr<std::byte[]>> shared;
};

thread_local Block* running = nullptr;

void give_way(Fiber::State state) {
  Fiber* me = running->current;
  me->state = state;
  swapcontext(&me->context, &running->scheduler);
}

void start() {
  Block* block = running;
  block->body(block->operands);
  give_way(Fiber::State::ended);
}

void prepare(Block& block, int threads, int x, int y) {
  block.fibers.resize(threads);
  block.shared.clear();
  for (int t = 0; t < threads; ++t) {
    Fiber& fiber = block.fibers[t];
    fiber.place = {t, x, y};
    fiber.state = Fiber::State::runs;
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = kStackBytes;
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, start, 0);
  }
}

// Frees the lanes of each warp that have all come to the same exchange.
bool meet_warps(Block& block) {
  bool met = false;
  for (size_t first = 0; first < block.fibers.size(); first += kLanes) {
    const auto lanes = std::span(block.fibers).subspan(first, kLanes);
    int waiting = 0;
    for (const Fiber& f : lanes) waiting += f.state == Fiber::State::at_warp;
    if (waiting == 0) continue;
    if (waiting < kLanes) continue;
    std::vector<int> values;
    for (const Fiber& f : lanes) values.push_back(f.value);
    for (Fiber& f : lanes) {
      f.given = values;
      f.state = Fiber::State::runs;
    }
    met = true;
  }
  return met;
}

bool meet_block(Block& block) {
  for (const Fiber& f : block.fibers)
    if (f.state != Fiber::State::at_barrier) return false;
  for (Fiber& f : block.fibers) f.state = Fiber::State::runs;
  return true;
}

void run_block(Block& block, const char* name) {
  for (;;) {
    bool ran = false, all_ended = true;
    for (Fiber& f : block.fibers) {
      if (f.state == Fiber::State::runs) {
        block.current = &f;
        swapcontext(&block.scheduler, &f.context);
        ran = true;
      }
      all_ended = all_ended && f.state == Fiber::State::ended;
    }
    if (all_ended) return;
    if (!meet_warps(block) && !meet_block(block) && !ran)
      throw std::logic_error(std::string(name) + ": threads wait for others that never come");
  }
}

}  // namespace

const Place& here() {
  return running->current->place;
}

void* shared_memory(const void* place, size_t bytes, size_t) {
  std::unique_ptr<std::byte[]>& memory = running->shared[place];
  if (!memory) {
    memory.reset(new std::byte[bytes]);
    std::memset(memory.get(), 0xff, bytes);  // NaN
  }
  return memory.get();
}

void barrier() {
  give_way(Fiber::State::at_barrier);
}

void warp_sync() {
  give_way(Fiber::State::at_warp);
}

int shuffle(int value, int from) {
  running->current->value = value;
  give_way(Fiber::State::at_warp);
  return running->current->given[from % kLanes];
}

uint32_t ballot(bool set) {
  running->current->value = set;
  give_way(Fiber::State::at_warp);
  uint32_t bits = 0;
  for (int i = 0; i < kLanes; ++i) bits |= uint32_t(running->current->given[i]) << i;
  return bits;
}

int32_t atomic_add(int32_t* to, int32_t value) {
  const int32_t before = *to;
  *to += value;
  return before;
}

void run(Vendor vendor, gpu::Kernel kernel, Grid grid, const void* operands) {
  const auto index = static_cast<size_t>(kernel);
  const gpu::KernelFacts& facts = gpu::kKernels[index];
  std::vector<std::byte> copy(facts.operand_bytes);
  std::memcpy(copy.data(), operands, copy.size());
  Block block;
  block.body = kBodies[static_cast<size_t>(vendor)][index];
  block.operands = copy.data();
  running = &block;
  for (int y = 0; y < grid.y; ++y)
    for (int x = 0; x < grid.x; ++x) {
      prepare(block, facts.threads, x, y);
      run_block(block, facts.name);
    }
  running = nullptr;
}

}  // namespace potluck::emulator
