// What loading is measured against: the rates at which this machine reads the model's file and
// touches fresh memory.
#pragma once

#include "topology/model/model_source.h"

namespace potluck {

struct LoadRates {
  double file_gb_per_s = 0, touch_gb_per_s = 0;
};

// By `threads` at once, each once from end to end, so that a load that follows at once finds the
// same state: the file's tensors mapped anew with their pages in memory (they are read before, not
// timed); and as many bytes of Pages as the tensors have, which were in use a moment before, so
// that a host has given them (they are touched and given back before, not timed). At most
// kLoadBytes of each, and of memory half of bytes_free. Cold: the file is read from where it lies,
// not from what the system has cached of it, before and after. Throws Fault{memory | world}.
inline constexpr uint64_t kLoadBytes = uint64_t{4} << 30;
LoadRates load_rates(const ModelSource& source, int threads, uint64_t bytes_free, bool cold);

}  // namespace potluck
