// The fast vocabulary attention.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/machine/isa.h"
#include "kernels/cpu/machine/thread_pool.h"
#include "kernels/cpu/reference/vocab_attention.h"

namespace potluck::cpu {

// As vocab_attention(): logits are packed products of E's type, Σ p·E is in bf16. A row of E whose
// weight is under 2⁻²⁴ of a canvas row's mass so far adds nothing there that f32 could hold, and is
// left out (of Σ p·E alone, by 2⁻²⁴·V of it at most; mass, entropy, argmax and sample count every
// id). Returns how many rows of E, in runs of the product, Σ p·E read: late, confident steps need
// few. scratch is 64-byte aligned.
size_t fast_vocab_scratch(Isa isa, DType type, int64_t rows, int64_t hidden, int threads);
int64_t fast_vocab_attention(Isa isa, const VocabRequest& request, VocabPartial* partial,
                             float* soft, void* scratch, ThreadPool& pool);

}  // namespace potluck::cpu
