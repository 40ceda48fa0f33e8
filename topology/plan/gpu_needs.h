// The memory that a card needs beside the file's bytes, for the table of needs.h.
#pragma once

#include "topology/plan/needs.h"

namespace potluck {

uint64_t gpu_matrix_bytes(Precision precision, DType type, int64_t count, int64_t rows,
                          int64_t columns);
uint64_t gpu_stage_scratch(const ModelSpec& spec, const ScratchShape& shape);
uint64_t gpu_head_scratch(const ModelSpec& spec, const ScratchShape& shape);

// NCCL takes so much of a card for its links at most, which potluck-gpu-check measures ("nccl",
// "links"). A channel takes 2 MiB on the sender's card and 10 MiB on the receiver's, and a link has
// 2 of them over PCIe and up to 32 over NVLink (src/transport/p2p.cc, src/init.cc and
// src/graph/paths.cc of NCCL 2.30; NVIDIA/nccl issue 1685 counts the same). For the communicator
// and the code of its kernels nobody gives a number.
inline constexpr uint64_t kNcclOwnBytes = uint64_t{128} << 20;
inline constexpr uint64_t kNcclSendBytes = uint64_t{64} << 20;
inline constexpr uint64_t kNcclReceiveBytes = uint64_t{320} << 20;
uint64_t nccl_bytes(bool sends, bool receives);

}  // namespace potluck
