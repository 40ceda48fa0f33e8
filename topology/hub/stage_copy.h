// Copies the tensors of some layers to this machine and nothing else, as a partial copy of the
// model (topology/model/partial_copy.h), which open_model() takes like a whole one.
#pragma once

#include <string>

#include "topology/hub/fetch.h"
#include "topology/plan/plan.h"

namespace potluck {

struct StageWish {
  LayerRange layers;  // may be empty
  bool head = false;  // the head's tensors too, and the tokenizer
  // What tells the model from others whose files have the same names and no checksums; empty: the
  // place that it comes from does.
  std::string content = {};
};

struct StageCopy {
  std::string path;          // the .gguf file (of a split one its first part) or the folder
  uint64_t stage_bytes = 0;  // headers, small files, and the tensors that were asked for
  uint64_t moved_bytes = 0;  // came over the line now
};

// Goes on with a copy that is in `folder` already, also with one of other layers: what is there is
// read again and held to the digests that it came with, and fetched anew where it has changed.
// Throws Fault{input} for layers that the
// model does not have, and for a folder that holds another model's copy; Fault{world} if the disk
// has no room.
StageCopy copy_stage(ModelFiles& from, const std::string& folder, const StageWish& wish,
                     const FetchWatch& watch);

}  // namespace potluck
