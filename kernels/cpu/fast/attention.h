// The fast attention.
#pragma once

#include <cstddef>

#include "kernels/cpu/machine/isa.h"
#include "kernels/cpu/machine/thread_pool.h"
#include "kernels/cpu/reference/attention.h"

namespace potluck::cpu {

size_t fast_attention_scratch(Isa isa, const AttentionShape& shape);  // bytes a thread

// As attention(), with q, K, V and the weights in bf16. scratch is 64-byte aligned.
void fast_attention(Isa isa, const AttentionShape& shape, const AttentionSegment& segment,
                    void* scratch, ThreadPool& pool);

}  // namespace potluck::cpu
