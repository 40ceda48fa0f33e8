// Upper bounds of what a CPU needs, on whichever instruction set takes most: kernels/cpu takes its
// scratch from it, and tests/backends holds the two together.
#pragma once

#include "topology/plan/needs.h"

namespace potluck {

// Experts [count, rows, columns] as panels that are stored when a model loads. Precision::fast adds
// them to the file's pages, which it then needs no more.
uint64_t panels_bytes(DType type, int64_t count, int64_t rows, int64_t columns);

uint64_t cpu_matrix_bytes(Precision precision, DType type, int64_t count, int64_t rows,
                          int64_t columns);
uint64_t cpu_stage_scratch(const ModelSpec& spec, const ScratchShape& shape);
uint64_t cpu_head_scratch(const ModelSpec& spec, const ScratchShape& shape);

}  // namespace potluck
