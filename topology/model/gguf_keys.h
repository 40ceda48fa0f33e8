// Holds each key of a GGUF file's metadata to what potluck computes. A key that changes the result
// and is passed over makes another model of the file.
#pragma once

#include "topology/model/gguf_spec.h"

namespace potluck {

// Throws Fault{input} with key and value for one that asks for something else, and for one that
// potluck does not know and that is neither 0, false, empty nor "none". Call it before gguf_spec(),
// which reads the other keys.
void check_gguf_keys(const GgufMetadata& metadata);

}  // namespace potluck
