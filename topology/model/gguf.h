// GGUF v3: single files and split ones (NAME-00001-of-00003.gguf).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "topology/model/model_source.h"

namespace potluck {

// path: the file, or any part of a split one. notes: lines for ModelSource::notes() that say how it
// was found.
std::unique_ptr<ModelSource> open_gguf(const std::string& path,
                                       std::vector<std::string> notes = {});

// The names of all parts of a split file, from the name of any; the name itself for a single file.
std::vector<std::string> gguf_part_names(const std::string& path);

}  // namespace potluck
