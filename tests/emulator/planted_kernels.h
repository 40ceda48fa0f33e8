// Kernels that are for the emulator's own tests: most of them are wrong, each in one way.
#pragma once

#include <cstdint>

namespace potluck::gpu {

struct Planted {
  float* out;
  const uint8_t* a;
  const uint8_t* b;
  int32_t* counter;
};

inline constexpr int kPlantedThreads = 64;

#define POTLUCK_PLANTED_KERNELS(X) \
  X(half_a_barrier)                \
  X(two_barriers)                  \
  X(missing_lane)                  \
  X(ended_lane)                    \
  X(different_exchanges)           \
  X(unwritten_read)                \
  X(overrun)                       \
  X(underrun)                      \
  X(kept_pointer)                  \
  X(written_operands)              \
  X(too_much_shared)               \
  X(missing_barrier)               \
  X(missing_warp_sync)             \
  X(last_block_wins)               \
  X(arrivals)                      \
  X(early_copy)                    \
  X(forgotten_copy)                \
  X(skewed_copy)                   \
  X(stray_copy)                    \
  X(overwritten_copy)              \
  X(piped_copies)                  \
  X(unequal_halves)                \
  X(multiply_f16)                  \
  X(multiply_s8)                   \
  X(stray_shuffle)                 \
  X(load_plain)                    \
  X(load_transposed)               \
  X(skewed_matrix)                 \
  X(stray_matrix)

}  // namespace potluck::gpu
