// A Load is checked before anything is given up for it; nothing here takes memory of the device.
#pragma once

#include "backends/backend.h"
#include "topology/model/model_source.h"
#include "transport/message.h"

namespace potluck {

struct Machine {              // what a worker has to offer
  std::string device;         // as the plan names it
  int threads = 0;            // of its own choice; 0: the plan's
  uint64_t memory_bytes = 0;  // at most; 0: what is free
  DeviceInfo info;
};

// Throws Fault{memory} when the part does not fit.
void check_memory(const Load& order, const ModelSource& source, const Machine& machine);

// Throws Fault{input} for a plan that cannot be, Fault{refused} for a model, a part or a device
// that are not this worker's, Fault{world} for a link by NCCL where that is missing, Fault{memory}
// when its part does not fit. It looks at no tensor's contents.
void check_load(const Load& order, const ModelSource& source, const Machine& machine);

// Throws Fault{refused} unless the part's contents are those of the coordinator's copy, layer by
// layer, as far as the coordinator has them.
void check_contents(const Load& order, const ModelSource& source);

}  // namespace potluck
