// The emulator tells ASan and TSan of switches of fibers, of memory that may not be touched, and of
// what a barrier orders. All of it is nothing in other builds.
#pragma once

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
// The emulator's own sources are built without -fsanitize=thread.
#if defined(POTLUCK_EMULATOR_TSAN)
#include <sanitizer/tsan_interface.h>
#endif

namespace potluck::emulator::sanitizers {

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kAsan = true;
inline void poison(const void* memory, size_t bytes) {
  __asan_poison_memory_region(memory, bytes);
}
inline void unpoison(const void* memory, size_t bytes) {
  __asan_unpoison_memory_region(memory, bytes);
}
inline void start_switch(void** fake_stack, const void* bottom, size_t size, void*) {
  __sanitizer_start_switch_fiber(fake_stack, bottom, size);
}
inline void finish_switch(void* fake_stack, const void** bottom, size_t* size) {
  __sanitizer_finish_switch_fiber(fake_stack, bottom, size);
}
#else
inline constexpr bool kAsan = false;
inline void poison(const void*, size_t) {}
inline void unpoison(const void*, size_t) {}
inline void finish_switch(void*, const void**, size_t*) {}
#endif

#if defined(POTLUCK_EMULATOR_TSAN)
inline void* current_fiber() {
  return __tsan_get_current_fiber();
}
inline void* create_fiber() {
  return __tsan_create_fiber(0);
}
inline void destroy_fiber(void* fiber) {
  __tsan_destroy_fiber(fiber);
}
inline void start_switch(void**, const void*, size_t, void* fiber) {
  __tsan_switch_to_fiber(fiber, __tsan_switch_to_fiber_no_sync);
}
// All that came before release(at) comes before what follows acquire(at).
inline void release(void* at) {
  __tsan_release(at);
}
inline void acquire(void* at) {
  __tsan_acquire(at);
}
#else
inline void* current_fiber() {
  return nullptr;
}
inline void* create_fiber() {
  return nullptr;
}
inline void destroy_fiber(void*) {}
inline void release(void*) {}
inline void acquire(void*) {}
#if !defined(__SANITIZE_ADDRESS__)
inline void start_switch(void**, const void*, size_t, void*) {}
#endif
#endif

}  // namespace potluck::emulator::sanitizers
