// Generation: one request from prompt to answer: which message comes next, and what each reply
// means. (model.md §6.1) Owned by a Pipeline; knows nothing of links.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "coordinator/pipeline.h"

namespace potluck {

class Generation final {
 public:
  // kv_length: tokens the session holds already. Throws Fault{input}: empty prompt, prompt past the
  // context, max_tokens < 1, an id outside the vocabulary.
  Generation(uint64_t id, uint64_t session, int kv_length, Request request, const ModelSpec& spec,
             const Plan& plan);

  uint64_t id() const { return id_; }
  uint64_t session() const { return session_; }
  const Request& request() const { return request_; }
  bool finished() const { return phase_ == Phase::finished; }
  Time waiting_since() const { return waiting_since_; }
  // "step 3 of canvas 0", "the prompt's tokens 512 to 768"; for messages.
  std::string waiting_for() const;

  // Appends what may be sent now; never more than plan.slots unanswered.
  void pump(Time now, std::vector<Message>& out);
  void encode_done(Time now, const Header& header, const PipelineEvents& events);
  // Throws Fault{refused} if the payload is not a canvas of candidates.
  void candidates(Time now, const Message& message, const PipelineEvents& events);

  int kv_length() const { return kv_length_; }
  RequestResult result(Time now) const;

 private:
  enum class Phase { encode, denoise, finished };

  Message message(MessageKind kind, int first, std::span<const int32_t> ids) const;
  void begin_canvas();
  void send_step(Time now, std::vector<Message>& out);
  void commit(const std::vector<int32_t>& argmax, const PipelineEvents& events);

  const ModelSpec& spec_;
  const Plan& plan_;
  const uint64_t id_, session_;
  Request request_;
  std::unique_ptr<Sampler> sampler_;
  std::vector<int32_t> end_ids_;

  Phase phase_ = Phase::encode;
  std::vector<int32_t> pending_;  // being encoded: the prompt, or a finished canvas
  int sent_ = 0, acknowledged_ = 0;
  int kv_length_;
  std::vector<int32_t> canvas_;
  StepKey key_;  // of the step that is next, or in flight
  bool step_in_flight_ = false;
  Time started_{}, step_started_{}, waiting_since_{};
  bool begun_ = false;
  RequestResult result_;
};

}  // namespace potluck
