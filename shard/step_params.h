// Writes the segments of a pass to StepParams in device memory.
#pragma once

#include <span>

#include "backends/backend.h"
#include "shard/workspace.h"

namespace potluck {

// Uploads the segments to workspace.params and returns their rows in all. CHECKs that row ranges
// are consecutive from 0 and within the workspace.
int upload_params(std::span<const Segment> segments, Backend& backend, Workspace& workspace);

}  // namespace potluck
