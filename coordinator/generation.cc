#include "coordinator/generation.h"

#include <algorithm>
#include <string>
#include <utility>

#include "coordinator/canvas.h"

namespace potluck {
namespace {

void check_request(const Request& request, int kv_length, const ModelSpec& spec, const Plan& plan) {
  if (request.prompt.empty() && kv_length == 0)
    throw Fault(FaultKind::input, "the prompt is empty", Fix{"give at least one token"});
  if (request.max_tokens < 1)
    throw Fault(FaultKind::input,
                "cannot generate " + std::to_string(request.max_tokens) + " tokens");
  check_prompt_fits(static_cast<size_t>(kv_length) + request.prompt.size(), spec.canvas,
                    plan.ctx_size);
  for (int32_t id : request.prompt)
    if (id < 0 || id >= spec.vocab)
      throw Fault(FaultKind::input, "prompt id " + std::to_string(id) +
                                        " is outside the vocabulary of " +
                                        std::to_string(spec.vocab));
}

}  // namespace

void check_prompt_fits(size_t prompt, int canvas, int ctx_size) {
  const size_t need = prompt + static_cast<size_t>(canvas);
  if (need <= static_cast<size_t>(ctx_size)) return;
  throw Fault(FaultKind::input,
              "the prompt has " + std::to_string(prompt) + " tokens; with a canvas of " +
                  std::to_string(canvas) + " it needs a context of " + std::to_string(need) +
                  ", this one has " + std::to_string(ctx_size),
              Fix{"raise the context", Setting::context});
}

Generation::Generation(uint64_t id, uint64_t session, int kv_length, Request request,
                       const ModelSpec& spec, const Plan& plan)
    : spec_(spec),
      plan_(plan),
      id_(id),
      session_(session),
      request_(std::move(request)),
      sampler_(make_entropy_bound_sampler(request_.generation)),
      end_ids_(request_.generation.eos_ids),
      kv_length_(kv_length),
      key_{request_.seed, request_.answer, 0, 0} {
  check_request(request_, kv_length, spec, plan);
  pending_ = request_.prompt;
  result_.session = session;
  if (pending_.empty()) begin_canvas();
}

std::string Generation::waiting_for() const {
  if (phase_ == Phase::denoise)
    return "step " + std::to_string(key_.step) + " of canvas " + std::to_string(key_.canvas);
  return "tokens " + std::to_string(kv_length_) + " to " +
         std::to_string(kv_length_ - acknowledged_ + sent_) + " of the encode";
}

Message Generation::message(MessageKind kind, int first, std::span<const int32_t> ids) const {
  Message m;
  Header& h = m.header;
  h.kind = kind;
  h.destination = kHeadPeer;
  h.session = session_;
  h.key = key_;
  h.attempt = static_cast<uint32_t>(id_);
  h.kv_length_before = h.first_position = first;
  h.rows = static_cast<int32_t>(ids.size());
  m.payload = copy_payload(ids.data(), ids.size_bytes());
  return m;
}

void Generation::pump(Time now, std::vector<Message>& out) {
  if (!begun_) started_ = waiting_since_ = now;
  begun_ = true;
  if (phase_ == Phase::denoise && !step_in_flight_) return send_step(now, out);
  const int total = static_cast<int>(pending_.size());
  const int unanswered_max = plan_.slots * plan_.chunk;
  while (phase_ == Phase::encode && sent_ < total &&
         sent_ - acknowledged_ + std::min(plan_.chunk, total - sent_) <= unanswered_max) {
    const int rows = std::min(plan_.chunk, total - sent_);
    const int base = kv_length_ - acknowledged_;
    out.push_back(message(
        MessageKind::encode, base + sent_,
        std::span(pending_).subspan(static_cast<size_t>(sent_), static_cast<size_t>(rows))));
    sent_ += rows;
    out.back().header.last = sent_ == total;
  }
}

void Generation::send_step(Time now, std::vector<Message>& out) {
  Message m = message(MessageKind::denoise, kv_length_, canvas_);
  m.header.temperature = sampler_->temperature(static_cast<int>(key_.step));
  out.push_back(std::move(m));
  step_in_flight_ = true;
  step_started_ = waiting_since_ = now;
}

void Generation::encode_done(Time now, const Header& header, const PipelineEvents& events) {
  if (phase_ != Phase::encode || header.kv_length_before != kv_length_)
    throw Fault(FaultKind::refused, "an encode of " + std::to_string(header.kv_length_before) +
                                        " was answered when " + waiting_for() + " were awaited");
  kv_length_ += header.rows;
  acknowledged_ += header.rows;
  waiting_since_ = now;
  const int total = static_cast<int>(pending_.size());
  if (key_.canvas == 0 && events.encoding) events.encoding(acknowledged_, total);
  if (acknowledged_ < total) return;
  if (key_.canvas == 0) result_.encode_seconds = seconds(now - started_);
  begin_canvas();
}

void Generation::begin_canvas() {
  phase_ = Phase::denoise;
  key_.step = 0;
  canvas_ = initial_canvas(key_, spec_.canvas, spec_.vocab);
  sampler_->begin_canvas();
}

void Generation::candidates(Time now, const Message& message, const PipelineEvents& events) {
  const Header& h = message.header;
  if (phase_ != Phase::denoise || !step_in_flight_ || h.key != key_) return;
  const Candidates c = decode_candidates(message.payload, spec_.canvas);
  const StepDecision decision = sampler_->decide(c, renoise_ids(key_, spec_.canvas, spec_.vocab));
  step_in_flight_ = false;
  waiting_since_ = now;
  result_.step_ms.push_back(milliseconds(now - step_started_));
  result_.last_hops = h.hops;
  Hop home;  // the candidates' own way, so that a step's bytes are all counted
  home.peer = kCoordinatorPeer;
  home.payload_bytes = message.payload.bytes;
  home.header_bytes = message.wire_header_bytes;
  result_.last_hops.push_back(home);
  if (events.step)
    events.step({session_, static_cast<int>(key_.canvas), static_cast<int>(key_.step),
                 sampler_->max_steps(), h.temperature, &c, &decision, result_.step_ms.back(),
                 h.hops});
  ++key_.step;
  canvas_ = decision.next;
  if (decision.stop || static_cast<int>(key_.step) == sampler_->max_steps())
    commit(c.argmax, events);
}

// The argmax canvas of the last step is the answer's; it is encoded before the next canvas begins.
void Generation::commit(const std::vector<int32_t>& argmax, const PipelineEvents& events) {
  std::vector<int32_t> canvas = argmax;
  const int end = pad_after_end(canvas, end_ids_, request_.generation.pad_id);
  const size_t room = static_cast<size_t>(request_.max_tokens) - result_.ids.size();
  const size_t length = end >= 0 ? static_cast<size_t>(end) + 1 : canvas.size();
  const size_t emitted = std::min(length, room);
  result_.ids.insert(result_.ids.end(), canvas.begin(),
                     canvas.begin() + static_cast<long>(emitted));
  result_.uncommitted.assign(canvas.begin(), canvas.begin() + static_cast<long>(emitted));
  result_.steps.push_back(static_cast<int>(key_.step));
  result_.stopped_by_end_id = end >= 0 && emitted == length;
  if (events.canvas_done) events.canvas_done(id_, result_.uncommitted);
  const bool fits = kv_length_ + 2 * spec_.canvas <= plan_.ctx_size;
  const bool full = static_cast<int>(result_.ids.size()) >= request_.max_tokens;
  if (end >= 0 || full || !fits) {
    phase_ = Phase::finished;
    return;
  }
  pending_ = canvas;
  sent_ = acknowledged_ = 0;
  result_.uncommitted.clear();
  ++key_.canvas;
  key_.step = 0;
  phase_ = Phase::encode;
}

RequestResult Generation::result(Time now) const {
  RequestResult result = result_;
  result.total_seconds = seconds(now - started_);
  result.kv_length = kv_length_;
  return result;
}

}  // namespace potluck
