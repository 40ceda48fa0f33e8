// RingRole: what a loaded worker is in the ring: the head (head_role.h) or a stage (stage_role.h).
// Both keep sessions and turn one data message into the next.
#pragma once

#include <cstdint>
#include <memory>

#include "backends/backend.h"
#include "topology/model/model_source.h"
#include "topology/plan/plan.h"
#include "transport/message.h"

namespace potluck {

class RingRole {
 public:
  virtual ~RingRole() = default;
  // Throws Fault{memory} if all sessions of the plan are open, Fault{refused} if this one is.
  virtual void open(uint64_t session) = 0;
  virtual void close(uint64_t session) = 0;  // unknown: nothing
  // The session keeps its first `length` tokens. Throws Fault{refused} if it cannot, and leaves it
  // as it was.
  virtual void truncate(uint64_t session, int length) = 0;
  // One encode or denoise message in, the one that follows from it out (destination set). Throws
  // Fault{refused} for what does not fit the session's state, and leaves that state as it was.
  virtual Message run(const Message& message) = 0;
  // The role is now that of `you` in this plan, whose part is the same (is_same_part); no session
  // is open any more.
  virtual void rejoin(const Plan& plan, PeerId you) = 0;
  virtual Ready sizes() const = 0;  // bytes of what was loaded
  virtual PeerId next() const = 0;  // the peer that activations go to
};

// Loads what `you` owns of the plan; the backend outlives the role. Throws
// Fault{memory | input | world}.
std::unique_ptr<RingRole> make_ring_role(const ModelSource& source, const Plan& plan, PeerId you,
                                         Backend& backend);

// Whether what a worker has loaded for the one part serves the other as it is. A part whose rows go
// from card to card does not: its memory is of the link.
bool is_same_part(const Plan& one, PeerId in_one, const Plan& other, PeerId in_other);

}  // namespace potluck
