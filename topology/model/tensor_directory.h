// What every kind of model file checks of its tensor directory.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "topology/model/model_source.h"

namespace potluck {

std::string shape_text_of(const std::vector<int64_t>& shape);
std::string number_text(double value);  // "1e+300", not three hundred digits

// Stored bytes of a tensor; refuses overflow and rows that are no whole blocks.
uint64_t checked_bytes(DType type, const std::vector<int64_t>& shape, const std::string& name,
                       const std::string& file);

// Sorts by name (find_tensor needs it), then: no name twice, every needed tensor there in its
// shape, no two overlapping.
// name_in_file: what the file calls a tensor that we call by GGUF's name, for messages.
using NameInFile = std::function<std::string(const std::string& name)>;
void check_directory(
    std::vector<TensorInfo>& tensors, const ModelSpec& spec, const std::string& file,
    const NameInFile& name_in_file = [](const std::string& name) { return name; });

const TensorInfo* find_unsorted(const std::vector<TensorInfo>& tensors, const std::string& name);

float embed_scale_of(int hidden);  // bf16(√H): model.md §5

}  // namespace potluck
