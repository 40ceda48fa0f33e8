// Every kernel, with its operands and the threads of its blocks: the one list that compilers,
// backend and emulator share. A kernel takes its operands as one struct.
#pragma once

#include <cstdint>

#include "kernels/gpu/exact/add_norm.h"
#include "kernels/gpu/exact/attention.h"
#include "kernels/gpu/exact/canvas_input.h"
#include "kernels/gpu/exact/embed.h"
#include "kernels/gpu/exact/experts.h"
#include "kernels/gpu/exact/gelu_mul.h"
#include "kernels/gpu/exact/group_rows.h"
#include "kernels/gpu/exact/hop.h"
#include "kernels/gpu/exact/matmul.h"
#include "kernels/gpu/exact/memory.h"
#include "kernels/gpu/exact/qkv.h"
#include "kernels/gpu/exact/rms_norm.h"
#include "kernels/gpu/exact/route.h"
#include "kernels/gpu/exact/vocab_attention.h"
#include "kernels/gpu/fast/experts_f16.h"
#include "kernels/gpu/fast/experts_int8.h"
#include "kernels/gpu/fast/f16_rows.h"
#include "kernels/gpu/fast/matmul_f16.h"
#include "kernels/gpu/fast/mma_products.h"
#include "kernels/gpu/fast/panels.h"
#include "kernels/gpu/fast/peaks.h"
#include "kernels/gpu/fast/q8_rows.h"

namespace potluck::gpu {

// X(kernel, Operands, threads)
#define POTLUCK_GPU_KERNELS(X)                                    \
  X(add_norm, AddNorm, 256)                                       \
  X(attention, Attention, 256)                                    \
  X(attention_f16, AttentionF16, 128)                             \
  X(attention_merge, AttentionMerge, 256)                         \
  X(canvas_input, CanvasInput, 256)                               \
  X(copy, Copy, 256)                                              \
  X(draw, Draw, 256)                                              \
  X(embed, Embed, 256)                                            \
  X(expert_down, ExpertDown, 256)                                 \
  X(expert_down_f16, ExpertDownF16, 256)                          \
  X(expert_down_iq4_nl, ExpertDownInt8<Stored::iq4_nl>, 128)      \
  X(expert_down_q4_0, ExpertDownInt8<Stored::q4_0>, 128)          \
  X(expert_down_q4_k, ExpertDownInt8<Stored::q4_k>, 128)          \
  X(expert_down_q5_0, ExpertDownInt8<Stored::q5_0>, 128)          \
  X(expert_down_q5_1, ExpertDownInt8<Stored::q5_1>, 128)          \
  X(expert_down_q5_k, ExpertDownInt8<Stored::q5_k>, 128)          \
  X(expert_down_q6_k, ExpertDownInt8<Stored::q6_k>, 128)          \
  X(expert_down_q8_0, ExpertDownInt8<Stored::q8_0>, 128)          \
  X(expert_gate_up, ExpertGateUp, 256)                            \
  X(expert_gate_up_f16, ExpertGateUpF16, 256)                     \
  X(expert_gate_up_iq4_nl, ExpertGateUpInt8<Stored::iq4_nl>, 128) \
  X(expert_gate_up_q4_0, ExpertGateUpInt8<Stored::q4_0>, 128)     \
  X(expert_gate_up_q4_k, ExpertGateUpInt8<Stored::q4_k>, 128)     \
  X(expert_gate_up_q5_0, ExpertGateUpInt8<Stored::q5_0>, 128)     \
  X(expert_gate_up_q5_1, ExpertGateUpInt8<Stored::q5_1>, 128)     \
  X(expert_gate_up_q5_k, ExpertGateUpInt8<Stored::q5_k>, 128)     \
  X(expert_gate_up_q6_k, ExpertGateUpInt8<Stored::q6_k>, 128)     \
  X(expert_gate_up_q8_0, ExpertGateUpInt8<Stored::q8_0>, 128)     \
  X(f16_rows, F16Rows, 256)                                       \
  X(fill, Fill, 256)                                              \
  X(gelu_mul, GeluMul, 256)                                       \
  X(group_rows, GroupRows, 256)                                   \
  X(matmul, Matmul, 256)                                          \
  X(matmul_f16, MatmulF16, 256)                                   \
  X(matrix_loads, MatrixLoads, 64)                                \
  X(mma_f16_products, MmaF16Products, 64)                         \
  X(mma_s8_products, MmaS8Products, 64)                           \
  X(mma_shape, MmaShape, 64)                                      \
  X(pack, Pack, 256)                                              \
  X(panels, Panels, 64)                                           \
  X(peak_copy, PeakCopy, 256)                                     \
  X(peak_f16, PeakF16, 256)                                       \
  X(peak_read, PeakRead, 256)                                     \
  X(peak_s8, PeakS8, 256)                                         \
  X(q8_rows, Q8Rows, 256)                                         \
  X(qkv, Qkv, 256)                                                \
  X(rms_norm, RmsNorm, 256)                                       \
  X(rope_angles, RopeAngles, 128)                                 \
  X(route, Route, 256)                                            \
  X(shared_copies, SharedCopies, 64)                              \
  X(soft_cap, SoftCap, 256)                                       \
  X(sum_slots, SumSlots, 256)                                     \
  X(unpack, Unpack, 256)                                          \
  X(vocab_count, VocabCount, 64)                                  \
  X(vocab_finish, VocabFinish, 256)                               \
  X(vocab_fold, VocabFold, 256)                                   \
  X(vocab_sum, VocabSum, 256)                                     \
  X(vocab_sum_f16, VocabSumF16, 256)

enum class Kernel : int32_t {
#define X(kernel, Operands, threads) kernel,
  POTLUCK_GPU_KERNELS(X)
#undef X
};

struct KernelFacts {
  const char* name;
  int threads;  // of a block
  int32_t operand_bytes;
};

inline constexpr KernelFacts kKernels[] = {
#define X(kernel, Operands, threads) {#kernel, threads, sizeof(Operands)},
    POTLUCK_GPU_KERNELS(X)
#undef X
};

// The kernel that takes these operands: kKernelOf<RmsNorm> is Kernel::rms_norm.
template <typename Operands>
struct KernelOf;
#define X(kernel, Operands, threads)                 \
  template <>                                        \
  struct KernelOf<Operands> {                        \
    static constexpr Kernel kValue = Kernel::kernel; \
  };
POTLUCK_GPU_KERNELS(X)
#undef X
template <typename Operands>
inline constexpr Kernel kKernelOf = KernelOf<Operands>::kValue;

}  // namespace potluck::gpu
