// The checks that every kind of model file makes of its tensor directory.
#pragma once

#include <string>
#include <vector>

#include "topology/model/model_source.h"

namespace potluck {

// Stored bytes of a tensor; refuses overflow and rows that are no whole blocks.
uint64_t checked_bytes(DType type, const std::vector<int64_t>& shape, const std::string& name,
                       const std::string& file);

// Messages call a tensor by GGUF's name, or by that of a published checkpoint.
enum class Naming { gguf, published };

// Refuses a name that appears twice, and tensors that overlap.
void check_places(const std::vector<TensorInfo>& tensors, const std::string& file);

// Sorts by name, as find_tensor needs it, and refuses a needed tensor that is missing or has
// another shape.
void check_directory(std::vector<TensorInfo>& tensors, const ModelSpec& spec,
                     const std::string& file, Naming naming = Naming::gguf);

const TensorInfo* find_unsorted(const std::vector<TensorInfo>& tensors, const std::string& name);

}  // namespace potluck
