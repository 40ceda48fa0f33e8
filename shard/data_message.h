// Data messages between the parts of a ring: what is checked of one that comes in, before anything
// is touched, and how one that goes out is made.
#pragma once

#include <string>

#include "backends/backend.h"
#include "topology/model/model_spec.h"
#include "topology/plan/plan.h"
#include "transport/message.h"

namespace potluck {

// Throws Fault{refused} naming the message's kind and session.
[[noreturn]] void refuse(const Header& header, const std::string& why);

// Throws Fault{refused} unless rows, positions, temperature and payload bytes fit the model and the
// plan. row_bytes: of one row of the payload.
void check_shape(const Message& message, const ModelSpec& spec, const Plan& plan, size_t row_bytes);
// As check_shape, of activations that the plan lets travel in `hop`.
void check_activations(const Message& message, const ModelSpec& spec, const Plan& plan, DType hop);
// Throws Fault{refused} unless the message goes on where the session's KV ends.
void check_length(const Header& header, int kv_length);

Segment segment_of(const Header& header, int slot);

// The message that carries x on, in the dtype of the hop.
Message activations(const Header& header, Backend& backend, Tensor x, int hidden, DType hop);

}  // namespace potluck
