// GGUF v3: single files and split ones (NAME-00001-of-00003.gguf).
#pragma once

#include <memory>
#include <string>

#include "topology/model_source.h"

namespace potluck {

// path: the file, or any part of a split one.
std::unique_ptr<ModelSource> open_gguf(const std::string& path);

}  // namespace potluck
