// Products with a stored weight matrix.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/machine/thread_pool.h"
#include "kernels/cpu/reference/rows.h"
#include "kernels/cpu/reference/weight_view.h"

namespace potluck::cpu {

size_t matmul_scratch(int64_t columns);  // floats a thread

// out[t, o] = Σ_i x[t, i] · w[o, i].  x: [rows, w.columns], out: [rows, w.rows]; scratch:
// matmul_scratch(w.columns) floats a thread.
void matmul(ConstRows x, int64_t rows, const WeightView& w, Rows out, float* scratch,
            ThreadPool& pool);

}  // namespace potluck::cpu
