// Checks a pass' segments and uploads them.
#include "shard/step_params.h"

#include "topology/base/check.h"

namespace potluck {

int upload_params(std::span<const Segment> segments, Backend& backend, Workspace& workspace) {
  CHECK(!segments.empty() && segments.size() <= kMaxSegments, segments.size());
  StepParams params;
  for (const Segment& segment : segments) {
    CHECK(segment.row_begin == params.rows && segment.rows > 0, segment.row_begin, params.rows);
    params.rows += segment.rows;
    params.segments[params.segment_count++] = segment;
  }
  CHECK(params.rows <= workspace.rows, params.rows, workspace.rows);
  backend.upload(&params, sizeof(params), workspace.params);
  return params.rows;
}

}  // namespace potluck
