// Experts' tensors that a file stores in pieces: gate and up apart, or a tensor for each expert.
// They become the tensors of the table, whose bytes lie in several stretches.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "topology/model/mapped_file.h"
#include "topology/model/model_source.h"
#include "topology/model/partial_copy.h"
#include "topology/model/tensor_directory.h"

namespace potluck {

// GGUF's name of a piece by its published one, as gguf_name() tells the others: "blk.3.ffn_up.7
// .weight" of "…layers.3.experts.7.up_proj", "blk.3.ffn_up_exps.weight" of "…experts.up_proj".
std::optional<std::string> piece_name(std::string_view published);

// Puts joined tensors in the place of their pieces. Throws Fault{input} for pieces that are missing
// or do not fit together.
void join_experts(std::vector<TensorInfo>& tensors, const ModelSpec& spec, const std::string& file,
                  Naming naming = Naming::gguf);

// Maps a tensor that lies in one place, or copies its stretches to one, once its pieces are found
// to be what came.
TensorBytes map_tensor(const std::vector<MappedFile>& files, const PieceChecks& checks,
                       const TensorInfo& tensor);

// Bytes [begin, begin + bytes) of the tensor, as a tensor that can be mapped.
TensorInfo section(const TensorInfo& tensor, uint64_t begin, uint64_t bytes);

}  // namespace potluck
