// Generation: one request from prompt to answer: which message comes next, and what each reply
// means. (shard/MODEL.md §6.1) A Pipeline owns it; it knows nothing of links.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/request.h"
#include "coordinator/session.h"
#include "topology/base/clock.h"

namespace potluck {

class Generation final {
 public:
  // request: has passed check_request(). session: holds a beginning of the prompt, and outlives
  // this. Throws as make_entropy_bound_sampler() does, with the session as it was.
  Generation(uint64_t id, Session& session, Request request, const ModelSpec& spec,
             const Plan& plan);

  uint64_t id() const { return id_; }
  uint64_t session() const { return session_.id; }
  const Request& request() const { return request_; }
  bool finished() const { return phase_ == Phase::finished; }
  Time waiting_since() const { return waiting_since_; }
  // "step 3 of canvas 0", "tokens 512 to 768 of the encode"; for messages.
  std::string waiting_for() const;
  // Reports a wait that has become long (ring_start.h).
  void tell_wait(Time now, const RequestEvents& events);

  // The ring was loaded anew: what the session holds is encoded again, and the canvas on its way
  // begins again; its noise is a function of its key, so the ids are the same. `stall` says what
  // that has taken since `noticed`.
  void begin_again(Time now, const Stall& stall, Time noticed);
  // Nothing of it is on its way, and no step of a canvas has been taken: so a canvas was just
  // committed, or nothing has begun.
  bool rests() const;

  // Appends what may be sent now; never more than plan.slots messages unanswered.
  void pump(Time now, const RequestEvents& events, std::vector<Message>& out);
  // Both throw Fault{refused} for a reply that cannot be one to this request.
  void encode_done(Time now, const Header& header, const RequestEvents& events);
  void candidates(Time now, const Message& message, const RequestEvents& events);

  RequestResult result(Time now) const;

 private:
  enum class Phase { encode, denoise, finished };

  void begin(Time now, const RequestEvents& events);
  Message message(MessageKind kind, int first, std::span<const int32_t> ids) const;
  void send_chunks(std::vector<Message>& out);
  void send_step(Time now, std::vector<Message>& out);
  void report_encode(const RequestEvents& events) const;
  void report_step(const Header& header, const Candidates& candidates, const StepDecision& decision,
                   const RequestEvents& events);
  void begin_canvas();
  void commit(const std::vector<int32_t>& argmax, const RequestEvents& events);
  double usual_step_seconds() const;
  void end_stall(Time now, const RequestEvents& events);

  const ModelSpec& spec_;
  const Plan& plan_;
  const uint64_t id_;
  Session& session_;
  const Request request_;
  const std::unique_ptr<Sampler> sampler_;

  Phase phase_ = Phase::encode;
  int sent_;     // of session_.ids
  StepKey key_;  // of the step that is on its way, or comes next
  std::vector<int32_t> canvas_;
  bool step_in_flight_ = false;
  Time started_{}, step_started_{}, waiting_since_{}, told_since_{};
  double told_seconds_ = 0;  // of the wait that began at told_since_
  bool begun_ = false;
  RequestResult result_;

  std::optional<Stall> stall_;  // while what was lost is done again
  StepKey resumed_;             // the stall is over when this step comes next
  Time again_since_{};          // when the encode began, or the steps that are taken again
};

}  // namespace potluck
