// Checks as much of NCCL as a single card can show.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "transport/nccl/card_port.h"

namespace potluck {

// Copies `bytes` from `from` to `to`, both on this card, by a communicator of one rank that sends
// to itself and receives, and returns NCCL's version. When the bytes are there and NCCL still has
// the communicator and its memory, `arrived` is called. Throws Fault{world} for an error, a missing
// library, and after kSelfCheckSeconds.
std::string copy_by_nccl(
    const std::shared_ptr<CardPort>& port, const void* from, void* to, size_t bytes,
    const std::function<void()>& arrived = [] {});

inline constexpr double kSelfCheckSeconds = 20;

}  // namespace potluck
