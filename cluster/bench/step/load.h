// Measures how fast this machine reads the model's file and touches fresh memory, as a yardstick of
// loading.
#pragma once

#include "topology/model/model_source.h"

namespace potluck {

struct LoadRates {
  double file_gb_per_s = 0, touch_gb_per_s = 0;
};

// Reads the file's tensors and touches as many bytes of fresh Pages, with all threads at once, each
// once from end to end. Both are done once before they are timed, so that the file's pages are in
// memory, and a virtual machine's host has given the memory: a load that follows finds the same
// state. At most kLoadBytes of each, and half of bytes_free, are used. With `cold` the file is read
// from where it lies, and what the system has cached of it is dropped before and after. Throws
// Fault{memory | world}.
inline constexpr uint64_t kLoadBytes = uint64_t{4} << 30;
LoadRates load_rates(const ModelSource& source, int threads, uint64_t bytes_free, bool cold);

}  // namespace potluck
