// Opens the model that a locator names.
#pragma once

#include <memory>
#include <string>

#include "topology/model/model_source.h"

namespace potluck {

struct ModelPlaces {
  std::string hub;    // the Hugging Face cache's `hub` folder
  std::string demos;  // the folder of the demo models that come with potluck
};

// locator: a .gguf file (any part of a split one), a safetensors folder,
// `synthetic:PRESET?key=value&…`, `hf:OWNER/REPO[:QUANT]`, `demo` or `demo9`. The whole directory
// has been checked when this returns: every tensor the model needs exists once, with the right
// shape, inside its file and overlapping no other. Throws Fault{input} otherwise.
std::unique_ptr<ModelSource> open_model(const std::string& locator, const ModelPlaces& places = {});
bool is_demo(const std::string& locator);

}  // namespace potluck
