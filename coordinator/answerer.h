// Answerer: who answers requests: a ring of this process, or one that stays elsewhere and is asked
// over a control channel (control/ring_client.h).
#pragma once

#include "coordinator/request.h"
#include "topology/base/clock.h"
#include "topology/plan/plan.h"

namespace potluck {

// One thread makes all calls, and events are called on it.
class Answerer {
 public:
  virtual ~Answerer() = default;
  // Asks one request and waits for its result. events.finished and events.failed are not called,
  // for the result is returned and the request's Fault thrown; after an interrupt that
  // is Fault{canceled}, and more can be asked.
  virtual RequestResult ask(Request request, RequestEvents events) = 0;
  // Takes in what comes until `deadline`; false once it has failed, and then throw_failure() says
  // how.
  virtual bool turn(Time deadline) = 0;
  virtual void throw_failure() = 0;
  // Closes a session that a request kept; whatever runs in it is canceled.
  virtual void close_session(uint64_t session) = 0;
  virtual const Plan& plan() const = 0;
};

}  // namespace potluck
