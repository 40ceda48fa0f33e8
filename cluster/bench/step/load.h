// Measures how fast this machine reads the model's file and touches fresh memory, as a yardstick of
// loading.
#pragma once

#include "topology/model/model_source.h"

namespace potluck {

struct LoadRates {
  double file_gb_per_s = 0;
  double touch_gb_per_s = 0;    // a CPU's: of fresh memory
  double to_card_gb_per_s = 0;  // a card's: of pinned memory that is copied there
  double slower() const;
};

// Bytes a second of reading the file's tensors, at most kLoadBytes of them, with all threads at
// once (0: one for each core), each once from end to end. That is done once before it is timed, so
// that the file's pages are in memory: a load that follows finds the same state. With `cold` the
// file is read from where it lies, and what the system has cached of it is dropped before and
// after.
inline constexpr uint64_t kLoadBytes = uint64_t{4} << 30;
double file_rate(const ModelSource& source, int threads, bool cold);

// Bytes a second of touching fresh Pages, as many as file_rate() reads and at most half of
// bytes_free; once before it is timed, so that a virtual machine's host has given the memory.
// Throws Fault{memory}.
double touch_rate(const ModelSource& source, int threads, uint64_t bytes_free);

}  // namespace potluck
