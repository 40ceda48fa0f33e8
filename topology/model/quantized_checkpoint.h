// Recognises checkpoints whose weights are quantized: potluck reads quantized weights from GGUF
// alone.
#pragma once

#include <optional>
#include <string>

#include "topology/model/json_text.h"

namespace potluck {

// Tells what config.json says of how the weights were quantized ("FP8 (compressed-tensors)");
// nothing if they were not.
std::optional<std::string> quantization(const JsonFields& config);

// Tells what a tensor's dtype says of it ("an fp8 checkpoint"); nothing for the dtypes that potluck
// reads and for those that no quantized checkpoint has.
std::optional<std::string> quantized_dtype(const std::string& dtype);

inline constexpr char kTakeUnquantized[] =
    "potluck reads bf16, f16 or f32 safetensors, or quantized weights as GGUF: take one of those";

}  // namespace potluck
