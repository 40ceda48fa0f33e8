#include "coordinator/pipeline.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <string>
#include <utility>

#include "coordinator/generation.h"
#include "topology/base/check.h"
#include "topology/base/version.h"
#include "topology/plan/plan_check.h"

namespace potluck {

namespace {
constexpr double kStepTimeoutSeconds = 30;  // at least; see PipelineOptions
constexpr double kStepTimeoutFactor = 5;    // × the slowest step seen
constexpr double kFirstStepSeconds = 1800;  // nothing is known of the ring's speed yet
}  // namespace

struct Pipeline::State {
  struct Peer {
    bool up = false, ready = false;
  };
  struct Queued {
    uint64_t id;
    Request request;
  };
  enum class Phase { idle, connecting, loading, running, ended };

  State(const ModelSpec& model_spec, Plan the_plan) : spec(model_spec), plan(std::move(the_plan)) {}

  const ModelSpec& spec;
  Plan plan;
  Fingerprint model;
  PipelineEvents events;
  PipelineOptions options;
  Phase phase = Phase::idle;
  Time phase_since{};
  std::map<PeerId, Peer> peers;
  std::deque<Queued> waiting;
  std::map<uint64_t, std::unique_ptr<Generation>> running;  // by request
  std::map<uint64_t, int> sessions;                         // open ones: tokens encoded
  std::vector<uint64_t> to_close, to_cancel;
  uint64_t next_request = 1, next_session = 1;
  double slowest_seconds = 0;
  bool stop_asked = false;

  void set_phase(Phase next, Time now) {
    phase = next;
    phase_since = now;
  }
  Message control(MessageKind kind, PeerId to) const;
  void send_all(MessageKind kind, uint64_t session, Outbox& out) const;
  void send_round(MessageKind kind, uint64_t session, Outbox& out) const;
  void peer_up(Time now, const Event& event, Outbox& out);
  void worker_ready(Time now, const Message& message);
  void reply(Time now, const Message& message, Outbox& out);
  void fail_ring(const Fault& fault, Outbox& out);
  void fail_request(uint64_t id, const Fault& fault);
  void start_waiting(Outbox& out);
  void start_one(Queued queued, Outbox& out);
  void finish(Time now, Generation& generation, Outbox& out);
  void end_session(uint64_t session, Outbox& out);
  void advance(Time now, Outbox& out);
  void check_deadlines(Time now, Outbox& out);
  double step_limit() const;
  Outbox stop();
  Generation* find(const Header& header);
};

Message Pipeline::State::control(MessageKind kind, PeerId to) const {
  Message m;
  m.header.kind = kind;
  m.header.destination = to;
  m.header.incarnation = options.incarnation;
  m.header.epoch = plan.epoch;
  return m;
}

void Pipeline::State::send_all(MessageKind kind, uint64_t session, Outbox& out) const {
  for (const auto& [peer, state] : peers) {
    if (!state.up) continue;
    out.messages.push_back(control(kind, peer));
    out.messages.back().header.session = session;
  }
}

// To the head, which passes it on: behind the data already sent, before what follows.
void Pipeline::State::send_round(MessageKind kind, uint64_t session, Outbox& out) const {
  out.messages.push_back(control(kind, kHeadPeer));
  out.messages.back().header.session = session;
}

void Pipeline::State::peer_up(Time now, const Event& event, Outbox& out) {
  if (!peers.count(event.peer)) return;
  const std::string& name = plan.worker(event.peer).name;
  CHECK(event.message.hello.has_value());
  const Digest theirs = event.message.hello->model.spec;
  if (theirs != model.spec)
    throw Fault(FaultKind::refused,
                "its model's fingerprint is " + digest_text(theirs) + ", mine is " +
                    digest_text(model.spec),
                Fix{"give every machine the same file"}, name);
  peers[event.peer].up = true;
  if (events.connected) events.connected(event.peer, *event.message.hello);
  if (!std::all_of(peers.begin(), peers.end(), [](const auto& p) { return p.second.up; })) return;
  set_phase(Phase::loading, now);
  for (const auto& [peer, state] : peers) {
    out.messages.push_back(control(MessageKind::load, peer));
    out.messages.back().load = Load{plan, peer, model};
  }
}

void Pipeline::State::worker_ready(Time now, const Message& message) {
  const PeerId peer = message.header.source;
  if (phase != Phase::loading || !peers.count(peer) || !message.ready) return;
  peers[peer].ready = true;
  if (events.ready) events.ready(peer, *message.ready);
  if (!std::all_of(peers.begin(), peers.end(), [](const auto& p) { return p.second.ready; }))
    return;
  set_phase(Phase::running, now);
  if (events.loaded) events.loaded();
}

// The request that a reply is about. Faults of opening a session name the session alone.
Generation* Pipeline::State::find(const Header& header) {
  for (auto& [id, generation] : running) {
    const bool of_session = header.kind == MessageKind::fault && header.attempt == 0;
    if (generation->session() == header.session &&
        (of_session || static_cast<uint32_t>(id) == header.attempt))
      return generation.get();
  }
  return nullptr;
}

void Pipeline::State::reply(Time now, const Message& message, Outbox& out) {
  const Header& h = message.header;
  if (h.incarnation != options.incarnation || h.epoch != plan.epoch) return;
  if (h.kind == MessageKind::ready) return worker_ready(now, message);
  if (h.kind == MessageKind::fault) {
    const FaultReport report = message.fault.value_or(FaultReport{});
    const Fault fault(report.kind, report.what, report.fix, report.where);
    if (Generation* generation = find(h)) return fail_request(generation->id(), fault);
    return h.session == 0 ? fail_ring(fault, out) : void();
  }
  Generation* generation = find(h);
  if (!generation) return;  // of a request that was canceled
  slowest_seconds = std::max(slowest_seconds, seconds(now - generation->waiting_since()));
  try {
    if (h.kind == MessageKind::encode_done) generation->encode_done(now, h, events);
    if (h.kind == MessageKind::candidates) generation->candidates(now, message, events);
  } catch (const Fault& fault) {
    fail_request(generation->id(), fault);
  }
}

void Pipeline::State::fail_request(uint64_t id, const Fault& fault) {
  const auto found = running.find(id);
  CHECK(found != running.end(), id);
  to_close.push_back(found->second->session());
  running.erase(found);
  if (events.failed) events.failed(id, fault);
}

// The first fault wins; every request that waits gets it.
void Pipeline::State::fail_ring(const Fault& fault, Outbox& out) {
  if (phase == Phase::ended) return;
  phase = Phase::ended;
  send_all(MessageKind::shutdown, 0, out);
  if (events.failed) {
    for (const auto& [id, generation] : running) events.failed(id, fault);
    for (const Queued& queued : waiting) events.failed(queued.id, fault);
    events.failed(0, fault);
  }
  running.clear();
  waiting.clear();
  out.finished = true;
}

void Pipeline::State::start_waiting(Outbox& out) {
  while (!waiting.empty()) {
    const uint64_t wanted = waiting.front().request.continue_session;
    if (wanted == 0 && static_cast<int>(sessions.size()) >= plan.sessions) return;
    Queued queued = std::move(waiting.front());
    waiting.pop_front();
    const uint64_t id = queued.id;
    try {
      start_one(std::move(queued), out);
    } catch (const Fault& fault) {
      if (events.failed) events.failed(id, fault);
    }
  }
}

void Pipeline::State::start_one(Queued queued, Outbox& out) {
  uint64_t session = queued.request.continue_session;
  if (session && !sessions.count(session))
    throw Fault(FaultKind::input, "session " + std::to_string(session) + " is not open");
  const bool fresh = session == 0;
  if (fresh) session = next_session++;
  const int kv_length = fresh ? 0 : sessions[session];
  running[queued.id] = std::make_unique<Generation>(queued.id, session, kv_length,
                                                    std::move(queued.request), spec, plan);
  if (!fresh) return;
  sessions[session] = 0;
  send_round(MessageKind::open, session, out);
}

void Pipeline::State::finish(Time now, Generation& generation, Outbox& out) {
  const RequestResult result = generation.result(now);
  const uint64_t id = generation.id(), session = generation.session();
  const bool keep = generation.request().keep_session;
  sessions[session] = result.kv_length;
  running.erase(id);
  if (!keep) end_session(session, out);
  if (events.finished) events.finished(id, result);
}

void Pipeline::State::end_session(uint64_t session, Outbox& out) {
  if (sessions.erase(session) == 0) return;
  send_all(MessageKind::cancel, session, out);
  send_round(MessageKind::close, session, out);
}

void Pipeline::State::advance(Time now, Outbox& out) {
  for (uint64_t id : std::exchange(to_cancel, {})) {
    std::erase_if(waiting, [&](const Queued& q) { return q.id == id; });
    if (running.count(id)) fail_request(id, Fault(FaultKind::canceled, "canceled"));
  }
  for (uint64_t session : std::exchange(to_close, {})) end_session(session, out);
  if (phase != Phase::running) return;
  start_waiting(out);
  std::vector<uint64_t> ids;
  for (const auto& [id, generation] : running) ids.push_back(id);
  for (uint64_t id : ids) {
    Generation& generation = *running.at(id);
    if (generation.finished())
      finish(now, generation, out);
    else {
      const size_t first = out.messages.size();
      generation.pump(now, out.messages);
      for (size_t i = first; i < out.messages.size(); ++i) {
        out.messages[i].header.incarnation = options.incarnation;
        out.messages[i].header.epoch = plan.epoch;
      }
    }
  }
}

void Pipeline::State::check_deadlines(Time now, Outbox& out) {
  const bool starting = phase == Phase::connecting || phase == Phase::loading;
  if (starting && seconds(now - phase_since) > options.load_timeout_seconds) {
    std::string missing;
    for (const auto& [peer, state] : peers)
      if (phase == Phase::loading ? !state.ready : !state.up)
        missing += (missing.empty() ? "" : ", ") + plan.worker(peer).name;
    return fail_ring(
        Fault(FaultKind::lost, missing + " did not get ready within " +
                                   std::to_string(static_cast<int>(options.load_timeout_seconds)) +
                                   " s"),
        out);
  }
  const double limit = step_limit();
  for (const auto& [id, generation] : running)
    if (seconds(now - generation->waiting_since()) > limit && generation->waiting_since() != Time{})
      return fail_ring(
          Fault(
              FaultKind::lost,
              "no answer from the ring for " + std::to_string(static_cast<int>(limit)) +
                  " s while waiting for " + generation->waiting_for(),
              Fix{"if the machines are this slow, raise the step timeout", Setting::step_timeout}),
          out);
}

double Pipeline::State::step_limit() const {
  if (options.step_timeout_seconds > 0) return options.step_timeout_seconds;
  if (slowest_seconds == 0) return kFirstStepSeconds;
  return std::max(kStepTimeoutSeconds, kStepTimeoutFactor * slowest_seconds);
}

Outbox Pipeline::State::stop() {
  Outbox out;
  phase = Phase::ended;
  send_all(MessageKind::shutdown, 0, out);
  out.finished = true;
  return out;
}

Pipeline::Pipeline(const ModelSpec& spec, Plan plan, Fingerprint model, PipelineEvents events,
                   PipelineOptions options)
    : state_(std::make_unique<State>(spec, std::move(plan))) {
  state_->model = std::move(model);
  state_->events = std::move(events);
  state_->options = options;
  validate(state_->plan, spec);
}

Pipeline::~Pipeline() = default;

Outbox Pipeline::start(Time now) {
  State& s = *state_;
  Outbox out;
  Identity me;
  me.self = kCoordinatorPeer;
  me.incarnation = s.options.incarnation;
  me.epoch = s.plan.epoch;
  me.hello.software = kSoftware;
  me.hello.name = "coordinator";
  me.hello.model.spec = s.model.spec;
  out.identity = me;
  s.set_phase(State::Phase::connecting, now);
  s.peers[kHeadPeer] = {};
  for (int i = 0; i < s.plan.stage_count(); ++i) s.peers[stage_peer(i)] = {};
  for (const auto& [peer, state] : s.peers)
    out.connects.push_back({peer, s.plan.worker(peer).endpoint});
  return out;
}

uint64_t Pipeline::submit(Request request) {
  const uint64_t id = state_->next_request++;
  state_->waiting.push_back({id, std::move(request)});
  return id;
}

void Pipeline::cancel(uint64_t request) {
  state_->to_cancel.push_back(request);
}
void Pipeline::close_session(uint64_t session) {
  state_->to_close.push_back(session);
}
void Pipeline::shut_down() {
  state_->stop_asked = true;
}

Outbox Pipeline::handle(Time now, Event event) {
  State& s = *state_;
  Outbox out;
  if (s.phase == State::Phase::ended) return out;
  if (s.stop_asked) return s.stop();
  try {
    if (event.kind == Event::Kind::up) s.peer_up(now, event, out);
    if (event.kind == Event::Kind::message) s.reply(now, event.message, out);
    if (event.kind == Event::Kind::down && s.peers.count(event.peer)) {
      const WorkerPlan& worker = s.plan.worker(event.peer);
      throw Fault(FaultKind::lost,
                  "lost worker " + worker.name + " at " + worker.endpoint + ": " + event.reason);
    }
  } catch (const Fault& fault) {
    s.fail_ring(fault, out);
  }
  if (s.phase != State::Phase::ended) s.advance(now, out);
  return out;
}

Outbox Pipeline::tick(Time now) {
  State& s = *state_;
  Outbox out;
  if (s.phase == State::Phase::ended) return out;
  if (s.stop_asked) return s.stop();
  s.check_deadlines(now, out);
  if (s.phase != State::Phase::ended) s.advance(now, out);
  return out;
}

}  // namespace potluck
