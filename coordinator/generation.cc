// A generation goes step by step: it encodes what the session lacks, denoises a canvas, commits it
// and goes on.
#include "coordinator/generation.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <tuple>
#include <utility>

#include "coordinator/canvas.h"
#include "coordinator/ring_start.h"
#include "topology/base/check.h"
#include "topology/base/text.h"

namespace potluck {
namespace {

// Candidates become the next canvas, the answer and the report's names, so they are checked.
void check_candidates(const Candidates& candidates, const std::vector<Hop>& hops,
                      const ModelSpec& spec, const Plan& plan) {
  const auto in_vocabulary = [&](int32_t id) { return id >= 0 && id < spec.vocab; };
  if (!std::all_of(candidates.argmax.begin(), candidates.argmax.end(), in_vocabulary) ||
      !std::all_of(candidates.sample.begin(), candidates.sample.end(), in_vocabulary))
    throw Fault(FaultKind::refused,
                "candidates hold an id outside the vocabulary of " + std::to_string(spec.vocab));
  for (size_t i = 0; i < candidates.entropy.size(); ++i)
    if (!std::isfinite(candidates.entropy[i]))
      throw Fault(FaultKind::refused,
                  "the entropy of position " + std::to_string(i) + " is " +
                      number_text(candidates.entropy[i]) +
                      ": the model's numbers grew past what floats hold",
                  Fix{"take another file of the model"});
  if (hops.size() > static_cast<size_t>(plan.stage_count()) + 2)
    throw Fault(FaultKind::refused, "candidates passed " + std::to_string(hops.size()) +
                                        " workers, more than the plan has");
  for (const Hop& hop : hops)
    if (!plan.has_worker(hop.peer))
      throw Fault(FaultKind::refused, "candidates passed peer " + std::to_string(hop.peer) +
                                          ", which the plan does not have");
}

}  // namespace

Generation::Generation(uint64_t id, Session& session, Request request, const ModelSpec& spec,
                       const Plan& plan)
    : spec_(spec),
      plan_(plan),
      id_(id),
      session_(session),
      request_(std::move(request)),
      sampler_(make_entropy_bound_sampler(request_.generation, request_.draw)),
      sent_(session.kv_length),
      key_{request_.seed, request_.answer, 0, 0} {
  CHECK(continues(session, request_.prompt), session.id, session.ids.size());
  result_.session = session.id;
  result_.reused = session.kv_length;
  session_.ids = request_.prompt;
}

std::string Generation::waiting_for() const {
  if (phase_ == Phase::denoise)
    return "step " + std::to_string(key_.step) + " of canvas " + std::to_string(key_.canvas);
  return "tokens " + std::to_string(session_.kv_length) + " to " + std::to_string(sent_) +
         " of the encode";
}

void Generation::tell_wait(Time now, const RequestEvents& events) {
  if (std::exchange(told_since_, waiting_since_) != waiting_since_) told_seconds_ = 0;
  const double waited = seconds(now - waiting_since_);
  if (waited < next_told_seconds(told_seconds_)) return;
  told_seconds_ = waited;
  if (events.waiting) events.waiting({id_, waiting_for(), waited});
}

bool Generation::rests() const {
  return phase_ == Phase::encode && sent_ == session_.kv_length;
}

// Steps differ little, so the last ones say how long one takes.
double Generation::usual_step_seconds() const {
  return result_.step_ms.empty() ? 0 : result_.step_ms.back() / 1000;
}

void Generation::begin_again(Time now, const Stall& stall, Time noticed) {
  if (!begun_) return;
  const double waited = seconds(noticed - waiting_since_);
  const double idle = waited - (rests() ? 0 : std::min(waited, usual_step_seconds()));
  const double since = seconds(noticed - (stall_ ? again_since_ : waiting_since_));
  const bool later = std::tie(key_.canvas, key_.step) > std::tie(resumed_.canvas, resumed_.step);
  if (!stall_ || later) resumed_ = key_;
  if (!stall_) stall_.emplace();
  stall_->why += (stall_->why.empty() ? "" : "; then ") + stall.why;
  stall_->detect_seconds += idle + stall.detect_seconds;
  stall_->replan_seconds += stall.replan_seconds;
  stall_->load_seconds += stall.load_seconds;
  stall_->lost_seconds += since - idle;
  result_.step_ms.resize(std::accumulate(result_.steps.begin(), result_.steps.end(), size_t{0}));
  phase_ = Phase::encode;
  sent_ = 0;
  key_.step = 0;
  step_in_flight_ = false;
  waiting_since_ = again_since_ = now;
}

void Generation::end_stall(Time now, const RequestEvents& events) {
  if (!stall_ || std::tie(key_.canvas, key_.step) < std::tie(resumed_.canvas, resumed_.step))
    return;
  stall_->lost_seconds += seconds(now - again_since_);
  result_.stalls.push_back(*std::exchange(stall_, std::nullopt));
  if (events.stalled) events.stalled({id_, result_.stalls.back()});
}

Message Generation::message(MessageKind kind, int first, std::span<const int32_t> ids) const {
  Message m;
  Header& h = m.header;
  h.kind = kind;
  h.destination = kHeadPeer;
  h.session = session_.id;
  h.key = key_;
  h.request = id_;
  h.kv_length_before = h.first_position = first;
  h.rows = ids.size();
  m.payload = copy_payload(ids.data(), ids.size_bytes());
  return m;
}

void Generation::pump(Time now, const RequestEvents& events, std::vector<Message>& out) {
  if (!std::exchange(begun_, true)) begin(now, events);
  if (phase_ == Phase::encode) send_chunks(out);
  if (phase_ == Phase::denoise && !step_in_flight_) send_step(now, out);
}

void Generation::begin(Time now, const RequestEvents& events) {
  started_ = waiting_since_ = now;
  report_encode(events);
  if (session_.kv_length == std::ssize(session_.ids)) begin_canvas();
}

void Generation::send_chunks(std::vector<Message>& out) {
  const int total = session_.ids.size();
  const int unanswered_max = plan_.slots * plan_.chunk;
  while (sent_ < total) {
    const int rows = std::min(plan_.chunk, total - sent_);
    if (sent_ - session_.kv_length + rows > unanswered_max) return;
    const auto chunk = std::span(session_.ids).subspan(sent_, rows);
    out.push_back(message(MessageKind::encode, sent_, chunk));
    sent_ += rows;
    out.back().header.last = sent_ == total;
  }
}

void Generation::send_step(Time now, std::vector<Message>& out) {
  Message m = message(MessageKind::denoise, session_.kv_length, canvas_);
  m.header.temperature = sampler_->temperature(key_.step);
  out.push_back(std::move(m));
  step_in_flight_ = true;
  step_started_ = waiting_since_ = now;
}

void Generation::report_encode(const RequestEvents& events) const {
  if (key_.canvas == 0 && events.encoding)
    events.encoding({id_, std::max(0, session_.kv_length - result_.reused),
                     static_cast<int>(session_.ids.size()) - result_.reused});
}

void Generation::encode_done(Time now, const Header& header, const RequestEvents& events) {
  if (phase_ != Phase::encode || header.kv_length_before != session_.kv_length || header.rows < 1 ||
      header.rows > sent_ - session_.kv_length)
    throw Fault(FaultKind::refused, "an encode of " + std::to_string(header.rows) +
                                        " tokens from " + std::to_string(header.kv_length_before) +
                                        " was answered when " + waiting_for() + " were awaited");
  session_.kv_length += header.rows;
  session_.most = std::max(session_.most, session_.kv_length);
  waiting_since_ = now;
  report_encode(events);
  if (session_.kv_length < std::ssize(session_.ids)) return;
  if (key_.canvas == 0) result_.encode_seconds = seconds(now - started_);
  begin_canvas();
  if (stall_) stall_->encode_seconds += seconds(now - std::exchange(again_since_, now));
  end_stall(now, events);
}

void Generation::begin_canvas() {
  phase_ = Phase::denoise;
  key_.step = 0;
  canvas_ = initial_canvas(key_, spec_.canvas, spec_.vocab);
  sampler_->begin_canvas();
}

void Generation::candidates(Time now, const Message& message, const RequestEvents& events) {
  const Header& h = message.header;
  if (phase_ != Phase::denoise || !step_in_flight_ || h.key != key_) return;
  const Candidates c = decode_candidates(message.payload, spec_.canvas);
  check_candidates(c, h.hops, spec_, plan_);
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
  report_step(h, c, decision, events);
  ++key_.step;
  canvas_ = decision.next;
  if (decision.stop || static_cast<int>(key_.step) == sampler_->max_steps())
    commit(c.argmax, events);
  end_stall(now, events);
}

void Generation::report_step(const Header& header, const Candidates& candidates,
                             const StepDecision& decision, const RequestEvents& events) {
  if (!events.step) return;
  StepReport report;
  report.request = id_;
  report.session = session_.id;
  report.canvas = key_.canvas;
  report.step = key_.step;
  report.max_steps = sampler_->max_steps();
  report.temperature = header.temperature;
  report.candidates = &candidates;
  report.decision = &decision;
  report.step_ms = result_.step_ms.back();
  report.hops = header.hops;
  events.step(report);
}

// The argmax canvas of the last step is the answer's; it is encoded before the next canvas begins.
void Generation::commit(const std::vector<int32_t>& argmax, const RequestEvents& events) {
  std::vector<int32_t> canvas = argmax;
  const int end = pad_after_end(canvas, request_.generation.eos_ids, request_.generation.pad_id);
  const size_t room = request_.max_tokens - result_.ids.size();
  const size_t length = end >= 0 ? static_cast<size_t>(end) + 1 : canvas.size();
  const auto emitted = std::span(canvas).first(std::min(length, room));
  result_.ids.insert(result_.ids.end(), emitted.begin(), emitted.end());
  result_.steps.push_back(key_.step);
  result_.stopped_by_end_id = end >= 0 && emitted.size() == length;
  if (events.canvas_done) events.canvas_done({id_, emitted});
  const bool fits = session_.kv_length + 2 * spec_.canvas <= plan_.ctx_size;
  const bool full = std::ssize(result_.ids) >= request_.max_tokens;
  if (end >= 0 || full || !fits) {
    phase_ = Phase::finished;
    return;
  }
  session_.ids.insert(session_.ids.end(), canvas.begin(), canvas.end());
  ++key_.canvas;
  key_.step = 0;
  phase_ = Phase::encode;
}

RequestResult Generation::result(Time now) const {
  RequestResult result = result_;
  result.total_seconds = seconds(now - started_);
  result.kv_length = session_.kv_length;
  return result;
}

}  // namespace potluck
