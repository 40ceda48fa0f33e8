// Switches from one stack to another. x86-64 does so in a few instructions of its own, which no
// system call slows; other processors use ucontext.
#include "tests/emulator/fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>

#include "tests/emulator/sanitizers.h"

#if defined(__x86_64__)
// Keeps the registers that a callee must keep, and the stack pointer in *from, then takes those
// that lie at `to`. The floating-point control words are the same in all fibers. It jumps back
// rather than return: a processor foretells returns by its own stack, and would always be wrong.
extern "C" void potluck_switch_stacks(void** from, void* to);
asm(R"(
.text
.p2align 4
.globl potluck_switch_stacks
.type potluck_switch_stacks, @function
potluck_switch_stacks:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  popq %rcx
  jmpq *%rcx
.size potluck_switch_stacks, .-potluck_switch_stacks
)");
#else
#include <ucontext.h>
#endif

namespace potluck::emulator {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kStackBytes = 256 << 10;
constexpr size_t kShift = 64, kShifts = 61;

thread_local Fiber* entering = nullptr;
thread_local Fiber* left = nullptr;

#if defined(__x86_64__)

// potluck_switch_stacks takes this from a stack that was never left: six registers, then the
// address that it returns to with the stack as after a call.
void* first_top(std::span<std::byte> stack, void (*entry)()) {
  auto* top = reinterpret_cast<void**>(stack.data() + stack.size());
  *--top = nullptr;
  *--top = reinterpret_cast<void*>(entry);
  for (int i = 0; i < 6; ++i) *--top = nullptr;
  return top;
}
void switch_stacks(void** from, void* to) {
  potluck_switch_stacks(from, to);
}
void release_top(void*) {}

#else

void* first_top(std::span<std::byte> stack, void (*entry)()) {
  auto* context = new ucontext_t;
  getcontext(context);
  context->uc_stack.ss_sp = stack.data();
  context->uc_stack.ss_size = stack.size();
  context->uc_link = nullptr;
  makecontext(context, entry, 0);
  return context;
}
void switch_stacks(void** from, void* to) {
  if (!*from) *from = new ucontext_t;
  swapcontext(static_cast<ucontext_t*>(*from), static_cast<ucontext_t*>(to));
}
void release_top(void* top) {
  delete static_cast<ucontext_t*>(top);
}

#endif

}  // namespace

Stacks::Stacks(size_t count) : count_(count) {
  void* memory = mmap(nullptr, count * kStackBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  memory_ = static_cast<std::byte*>(memory);
  for (size_t i = 0; i < count; ++i) mprotect(memory_ + i * kStackBytes, kPage, PROT_NONE);
}

Stacks::~Stacks() {
  munmap(memory_, count_ * kStackBytes);
}

std::span<std::byte> Stacks::operator[](size_t index) const {
  return {memory_ + index * kStackBytes + kPage, kStackBytes - kPage - index % kShifts * kShift};
}

Fiber::Fiber() : tsan_(sanitizers::current_fiber()) {}

Fiber::Fiber(std::span<std::byte> stack, void (*body)())
    : stack_(stack), body_(body), tsan_(sanitizers::create_fiber()), own_(true) {
  sanitizers::unpoison(stack.data(), stack.size());  // an abandoned fiber may have lain there
  top_ = first_top(stack, enter);
}

Fiber::~Fiber() {
  release_top(top_);
  if (own_) sanitizers::destroy_fiber(tsan_);
}

void Fiber::enter() {
  Fiber* me = entering;
  const void* bottom = nullptr;
  size_t size = 0;
  sanitizers::finish_switch(nullptr, &bottom, &size);
  // This is how the stack of the thread that began becomes known.
  if (bottom) left->stack_ = {static_cast<std::byte*>(const_cast<void*>(bottom)), size};
  me->body_();
}

void Fiber::switch_to(Fiber& next) {
  entering = &next;
  left = this;
  sanitizers::start_switch(&fake_stack_, next.stack_.data(), next.stack_.size(), next.tsan_);
  switch_stacks(&top_, next.top_);
  sanitizers::finish_switch(fake_stack_, nullptr, nullptr);
}

}  // namespace potluck::emulator
