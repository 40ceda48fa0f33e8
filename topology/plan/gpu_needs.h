// The memory that a card needs beside the file's bytes, for the table of needs.h.
#pragma once

#include "topology/plan/needs.h"

namespace potluck {

uint64_t gpu_matrix_bytes(Precision precision, DType type, int64_t count, int64_t rows,
                          int64_t columns);
uint64_t gpu_stage_scratch(const ModelSpec& spec, const ScratchShape& shape);
uint64_t gpu_head_scratch(const ModelSpec& spec, const ScratchShape& shape);

}  // namespace potluck
