// The fast forms of the reference's heavy operations, on one instruction set. What they compute is
// reference.h's; what they round beside it is said at each. Bits depend on shapes and the
// instruction set alone. No function allocates: scratch is the caller's, 64-byte aligned.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/machine/isa.h"
#include "kernels/cpu/machine/thread_pool.h"
#include "kernels/cpu/packed/packed_product.h"
#include "kernels/cpu/reference/reference.h"
#include "kernels/cpu/reference/vocab_attention.h"

namespace potluck::cpu {

// x · Wᵀ with x in int8 blocks of 32 or in bf16, one term or two, as packed_product.h has it.
size_t fast_matmul_scratch(const PackedProduct& product, int64_t columns, int64_t rows_max,
                           int threads);
void fast_matmul(const PackedProduct& product, const float* x, int64_t rows, const WeightView& w,
                 float* out, void* scratch, ThreadPool& pool);

// The same with W's blocks as stored panels, by a product that opens them.
size_t fast_stored_matmul_scratch(const PackedProduct& product, int64_t columns, int64_t rows_max,
                                  int threads);
void fast_stored_matmul(const PackedProduct& product, const float* x, int64_t rows,
                        const WeightView& w, float* out, void* scratch, ThreadPool& pool);

// As route(), each product and its sum rounded once; a near-tie may choose the other expert.
// scratch: route_scratch.
void fast_route(const float* x, int64_t rows, int64_t hidden, const RouterView& router,
                int32_t* expert, float* weight, float* scratch, ThreadPool& pool);

// out[i] = gelu_tanh(gate[i]) · up[i] as gate · up / (1 + e^(−2u)), in f32 throughout: within
// 2⁻²¹ · |gate · up|.  out may be gate.
void fast_gelu_mul_row(const float* gate, const float* up, int64_t n, float* out);

// As experts(): each expert's rows meet its panels once, gate and up in one task. Where a matrix'
// blocks are stored panels they lie expert by expert.
struct StoredPanels {
  bool gate_up = false, down = false;
};
size_t fast_experts_scratch(Isa isa, const ExpertsView& experts, int64_t rows_max, int threads);
void fast_experts(Isa isa, const float* x, int64_t rows, const ExpertsView& view,
                  StoredPanels stored, const int32_t* expert, const float* weight, float* out,
                  void* scratch, ThreadPool& pool);

// As attention(), with q, K, V and the weights in bf16. scratch: fast_attention_scratch bytes for
// each thread.
size_t fast_attention_scratch(Isa isa, const AttentionShape& shape);
void fast_attention(Isa isa, const float* q, const AttentionShape& shape,
                    const AttentionSegment& segment, float* out, void* scratch, ThreadPool& pool);

// As vocab_attention(): logits by packed products of E's type, Σ p·E in bf16. A row of E whose
// weight is under 2⁻²⁴ of a canvas row's mass so far adds nothing there that f32 could hold, and is
// left out (of Σ p·E alone, by 2⁻²⁴·V of it at most; mass, entropy, argmax and sample count every
// id). Returns how many rows of E, in runs of the product, Σ p·E read: late, confident steps need
// few.
size_t fast_vocab_scratch(Isa isa, DType type, int64_t rows, int64_t hidden, int threads);
int64_t fast_vocab_attention(Isa isa, const VocabRequest& request, VocabPartial* partial,
                             float* soft, void* scratch, ThreadPool& pool);

}  // namespace potluck::cpu
