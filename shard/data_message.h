// Data messages between the parts of a ring: what is checked of one that comes in, before anything
// is touched, and how one that goes out is made.
#pragma once

#include <memory>
#include <string>

#include "backends/backend.h"
#include "topology/model/model_spec.h"
#include "topology/plan/plan.h"
#include "transport/message.h"
#include "transport/nccl/card_memory.h"

namespace potluck {

// Throws Fault{refused} naming the message's kind and session.
[[noreturn]] void refuse(const Header& header, const std::string& why);

// Throws Fault{refused} unless rows, positions, temperature, payload bytes and the workers that it
// has passed fit the model and the plan. row_bytes: of one row of the payload.
void check_shape(const Message& message, const ModelSpec& spec, const Plan& plan, size_t row_bytes);
// As check_shape, of activations that the plan lets travel in `hop`.
void check_activations(const Message& message, const ModelSpec& spec, const Plan& plan, DType hop);
// Throws Fault{refused} unless the message goes on where the session's KV ends.
void check_length(const Header& header, int kv_length);

Segment segment_of(const Header& header, int slot);

// How a worker's rows go on.
struct HopOut {
  DType type = DType::bf16;
  std::shared_ptr<CardMemory> memory;  // they stay on the card, in a piece of it; none: on the host
};
// As the plan says of worker `self`. Throws Fault{input | world} where its card cannot be reached.
HopOut hop_out(const Plan& plan, PeerId self);

// The message that carries x on.
Message activations(const Header& header, Backend& backend, Tensor x, int hidden,
                    const HopOut& hop);
// x [rows, hidden] from the payload, wherever it lies; the message must live until wait().
void unpack(const Message& message, Backend& backend, int hidden, Tensor x);

}  // namespace potluck
