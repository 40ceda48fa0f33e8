// The pipeline's state holds the requests that wait and run, their sessions, and the ring under
// them.
#include "coordinator/pipeline.h"

#include <algorithm>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/generation.h"
#include "topology/base/check.h"
#include "topology/base/version.h"
#include "topology/plan/cost_model.h"
#include "topology/plan/dialing.h"
#include "topology/plan/plan_check.h"

namespace potluck {

namespace {
constexpr double kStepTimeoutSeconds = 30;  // at least; see PipelineOptions
constexpr double kStepTimeoutFactor = 5;    // × the slowest step seen
constexpr double kFirstStepSeconds = 1800;  // nothing is known of the ring's speed yet
}  // namespace

struct Pipeline::State {
  struct Queued {
    uint64_t id;
    Request request;
  };
  enum class Phase { idle, starting, running, ended };

  State(const ModelSpec& model_spec, Fingerprint model, PipelineEvents listeners,
        PipelineOptions wishes)
      : spec(model_spec),
        events(std::move(listeners)),
        options(wishes),
        ring(std::move(model), options.ring_secret, wishes.load_timeout_seconds, events.start) {
    plan.epoch = 0;  // every plan's is greater
  }

  const ModelSpec& spec;
  const PipelineEvents events;
  const PipelineOptions options;
  RingStart ring;
  Plan plan;
  Phase phase = Phase::idle;
  std::deque<Queued> waiting;
  std::map<uint64_t, std::unique_ptr<Generation>> running;  // by request
  Sessions sessions;
  std::vector<uint64_t> to_close, to_cancel;
  uint64_t next_request = 1;
  double slowest_seconds = 0;
  bool stop_asked = false, ordered = false;

  RingId ring_id() const { return {options.incarnation, plan.epoch}; }
  Identity identity() const;
  void send(MessageKind kind, PeerId worker, uint64_t session, Outbox& out) const;
  void send_all(MessageKind kind, uint64_t session, Outbox& out) const;
  Outbox addressed(Outbox out) const;
  void begin(Time now, const Plan& next, Outbox& out);
  void event(Time now, const Event& event, Outbox& out);
  void down(const Event& event);
  void message(Time now, const Event& event, Outbox& out);
  void check_sender(const Event& event, PeerId worker) const;
  void reply(Time now, const Message& message);
  void fault(const Event& event, Outbox& out);
  void fail_ring(const Fault& fault, Outbox& out);
  void fail_request(uint64_t id, const Fault& fault);
  void start_waiting(Outbox& out);
  bool can_start(const Request& request) const;
  void start_one(Queued queued, Outbox& out);
  Session& session_for(const Request& request, Outbox& out);
  bool go_back(Session& session, int length, Outbox& out) const;
  void finish(Time now, Generation& generation, Outbox& out);
  void end_session(uint64_t session, Outbox& out);
  void obey(Outbox& out);
  void advance(Time now, Outbox& out);
  void check_deadlines(Time now);
  double step_limit() const;
  Outbox stop();
  Generation* find(const Header& header);
};

Identity Pipeline::State::identity() const {
  Identity me;
  me.self = kCoordinatorPeer;
  me.incarnation = options.incarnation;
  me.epoch = plan.epoch;
  me.hello.software = kSoftware;
  me.hello.name = "coordinator";
  me.callers.emplace();  // nobody: a coordinator dials
  return me;
}

void Pipeline::State::send(MessageKind kind, PeerId worker, uint64_t session, Outbox& out) const {
  Message m;
  m.header.kind = kind;
  m.header.destination = worker;
  m.header.session = session;
  out.messages.push_back(std::move(m));
}

void Pipeline::State::send_all(MessageKind kind, uint64_t session, Outbox& out) const {
  for (PeerId worker = kHeadPeer; worker < stage_peer(plan.stage_count()); ++worker)
    if (ring.is_up(worker)) send(kind, worker, session, out);
}

// Every message that leaves passes here: it gets the ring's stamp, and goes from the worker that
// the plan names to the link that leads there.
Outbox Pipeline::State::addressed(Outbox out) const {
  for (Message& m : out.messages) {
    stamp(m.header, ring_id());
    m.header.destination = ring.link_to(m.header.destination);
  }
  return out;
}

void Pipeline::State::begin(Time now, const Plan& next, Outbox& out) {
  validate(next, spec);
  if (next.epoch <= plan.epoch)
    throw Fault(FaultKind::input,
                "a ring of epoch " + std::to_string(plan.epoch) + " cannot be loaded with epoch " +
                    std::to_string(next.epoch),
                Fix{"it must be greater"});
  const Fault over(FaultKind::canceled, "the ring is loaded anew");
  while (!running.empty()) fail_request(running.begin()->first, over);
  sessions = {};
  to_close.clear();
  plan = next;
  phase = Phase::starting;
  stop_asked = false;
  slowest_seconds = 0;
  out.identity = identity();
  ring.begin(now, plan, out);
}

void Pipeline::State::event(Time now, const Event& event, Outbox& out) {
  if (event.kind == Event::Kind::up) ring.handle(now, event, out);
  if (event.kind == Event::Kind::down) down(event);
  if (event.kind == Event::Kind::message) message(now, event, out);
}

void Pipeline::State::down(const Event& event) {
  const std::optional<PeerId> lost = ring.worker_on(event.peer);
  const bool was_up = lost && ring.is_up(*lost);
  ring.lost(event.peer);
  if (!lost) return;
  const WorkerPlan& worker = plan.worker(*lost);
  throw Fault(FaultKind::lost, (was_up ? "lost worker " : "no link from here to worker ") +
                                   worker.name + " at " + worker.endpoint + ": " + event.reason);
}

// A message that is not of this ring as it is now is stale.
void Pipeline::State::message(Time now, const Event& event, Outbox& out) {
  if (ring_of(event.message.header) != ring_id()) return;
  switch (event.message.header.kind) {
    case MessageKind::ready:
    case MessageKind::joined:
      ring.handle(now, event, out);
      if (phase == Phase::starting && ring.done()) phase = Phase::running;
      return;
    case MessageKind::fault:
      return fault(event, out);
    case MessageKind::encode_done:
      check_sender(event, stage_peer(plan.stage_count() - 1));
      return reply(now, event.message);
    case MessageKind::candidates:
      check_sender(event, kHeadPeer);
      return reply(now, event.message);
    default:
      return;  // workers send nothing else
  }
}

void Pipeline::State::check_sender(const Event& event, PeerId worker) const {
  const std::optional<PeerId> from = ring.worker_on(event.peer);
  if (from == worker) return;
  const char* kind = message_kind_name(event.message.header.kind);
  throw Fault(FaultKind::refused,
              std::string("it sent ") + kind + ", which " + plan.worker(worker).name + " sends",
              from ? plan.worker(*from).name : "peer " + std::to_string(event.peer));
}

// Finds the request that a reply is about. A fault of opening a session names the session alone.
Generation* Pipeline::State::find(const Header& header) {
  for (auto& [id, generation] : running) {
    const bool of_session = header.kind == MessageKind::fault && header.request == 0;
    if (generation->session() == header.session &&
        (of_session || static_cast<uint32_t>(id) == header.request))
      return generation.get();
  }
  return nullptr;
}

void Pipeline::State::fault(const Event& event, Outbox& out) {
  const Message& message = event.message;
  const FaultReport report = message.fault.value_or(FaultReport{});
  const Fault fault = explained(Fault(report.kind, report.what, report.fix, report.where), plan,
                                ring.worker_on(event.peer).value_or(kCoordinatorPeer));
  if (const Generation* generation = find(message.header))
    fail_request(generation->id(), fault);
  else if (message.header.session == 0)
    fail_ring(fault, out);
}

void Pipeline::State::reply(Time now, const Message& message) {
  const Header& h = message.header;
  Generation* generation = find(h);
  if (!generation) return;  // its request was canceled
  slowest_seconds = std::max(slowest_seconds, seconds(now - generation->waiting_since()));
  try {
    if (h.kind == MessageKind::encode_done)
      generation->encode_done(now, h, events.requests);
    else
      generation->candidates(now, message, events.requests);
  } catch (const Fault& fault) {
    fail_request(generation->id(), fault);
  }
}

void Pipeline::State::fail_request(uint64_t id, const Fault& fault) {
  const auto found = running.find(id);
  CHECK(found != running.end(), id);
  to_close.push_back(found->second->session());
  running.erase(found);
  if (events.requests.failed) events.requests.failed(id, fault);
}

// The first fault wins; every request that waits gets it.
void Pipeline::State::fail_ring(const Fault& fault, Outbox& out) {
  if (phase == Phase::ended) return;
  phase = Phase::ended;
  send_all(MessageKind::shutdown, 0, out);
  const auto tell = [&](uint64_t id) {
    if (events.requests.failed) events.requests.failed(id, fault);
  };
  for (const auto& [id, generation] : std::exchange(running, {})) tell(id);
  for (const Queued& queued : std::exchange(waiting, {})) tell(queued.id);
  if (events.ring_failed) events.ring_failed(fault);
  out.finished = true;
}

void Pipeline::State::start_waiting(Outbox& out) {
  while (!waiting.empty() && can_start(waiting.front().request)) {
    Queued queued = std::move(waiting.front());
    waiting.pop_front();
    const uint64_t id = queued.id;
    try {
      start_one(std::move(queued), out);
    } catch (const Fault& fault) {
      if (events.requests.failed) events.requests.failed(id, fault);
    }
  }
}

// A new session needs room for one; an open one must be free.
bool Pipeline::State::can_start(const Request& request) const {
  if (request.session == 0) return sessions.count() < static_cast<size_t>(plan.sessions);
  return std::none_of(running.begin(), running.end(),
                      [&](const auto& each) { return each.second->session() == request.session; });
}

void Pipeline::State::start_one(Queued queued, Outbox& out) {
  check_request(queued.request, spec, plan);
  Session& session = session_for(queued.request, out);
  try {
    running[queued.id] =
        std::make_unique<Generation>(queued.id, session, std::move(queued.request), spec, plan);
  } catch (const Fault&) {
    if (session.ids.empty()) end_session(session.id, out);
    throw;
  }
}

// Gives the session that the request names, cut back to what the prompt begins with too; a new one
// if nothing is named, or if that session no longer holds what it would need.
Session& Pipeline::State::session_for(const Request& request, Outbox& out) {
  if (request.session) {
    Session* named = sessions.find(request.session);
    if (!named)
      throw Fault(FaultKind::input, "session " + std::to_string(request.session) + " is not open");
    if (go_back(*named, static_cast<int>(common_length(*named, request.prompt)), out))
      return *named;
    end_session(request.session, out);
  }
  Session& fresh = sessions.open();
  send(MessageKind::open, kHeadPeer, fresh.id, out);
  return fresh;
}

bool Pipeline::State::go_back(Session& session, int length, Outbox& out) const {
  if (length == session.kv_length) return true;
  if (length == 0 || length < least_kept(spec, plan, session.most)) return false;
  send(MessageKind::truncate, kHeadPeer, session.id, out);
  out.messages.back().header.kv_length_before = length;
  session.ids.resize(static_cast<size_t>(length));
  session.kv_length = length;
  return true;
}

void Pipeline::State::finish(Time now, Generation& generation, Outbox& out) {
  const RequestResult result = generation.result(now);
  const uint64_t id = generation.id(), session = generation.session();
  const bool keep = generation.request().keep_session;
  running.erase(id);
  if (!keep) end_session(session, out);
  if (events.requests.finished) events.requests.finished(id, result);
}

// `cancel` overtakes what is queued; `close` goes to the head, which passes it on behind the data
// already sent and before what follows.
void Pipeline::State::end_session(uint64_t session, Outbox& out) {
  if (!sessions.close(session)) return;
  send_all(MessageKind::cancel, session, out);
  send(MessageKind::close, kHeadPeer, session, out);
}

void Pipeline::State::obey(Outbox& out) {
  ordered = false;
  for (uint64_t id : std::exchange(to_cancel, {})) {
    const size_t dropped = std::erase_if(waiting, [&](const Queued& q) { return q.id == id; });
    const Fault canceled(FaultKind::canceled, "canceled");
    if (running.count(id)) fail_request(id, canceled);
    if (dropped && events.requests.failed) events.requests.failed(id, canceled);
  }
  for (uint64_t session : std::exchange(to_close, {})) {
    const auto user = std::find_if(running.begin(), running.end(), [&](const auto& each) {
      return each.second->session() == session;
    });
    if (user != running.end())
      fail_request(user->first, Fault(FaultKind::canceled, "its session was closed"));
    end_session(session, out);
  }
}

// A request that has finished makes room for one that waits.
void Pipeline::State::advance(Time now, Outbox& out) {
  obey(out);
  if (phase != Phase::running) return;
  std::vector<Generation*> finished;
  for (const auto& [id, generation] : running)
    if (generation->finished()) finished.push_back(generation.get());
  for (Generation* generation : finished) finish(now, *generation, out);
  start_waiting(out);
  for (const auto& [id, generation] : running) generation->pump(now, events.requests, out.messages);
}

void Pipeline::State::check_deadlines(Time now) {
  ring.check_deadline(now);
  const double limit = step_limit();
  for (const auto& [id, generation] : running) {
    if (generation->waiting_since() == Time{}) continue;
    if (seconds(now - generation->waiting_since()) > limit)
      throw Fault(
          FaultKind::lost,
          "no answer from the ring for " + std::to_string(static_cast<int>(limit)) +
              " s while waiting for " + generation->waiting_for(),
          Fix{"if the machines are this slow, raise the step timeout", Setting::step_timeout});
    generation->tell_wait(now, events.requests);
  }
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
  return addressed(std::move(out));
}

Pipeline::Pipeline(const ModelSpec& spec, Fingerprint model, PipelineEvents events,
                   PipelineOptions options)
    : state_(std::make_unique<State>(spec, std::move(model), std::move(events), options)) {}

Pipeline::~Pipeline() = default;

Outbox Pipeline::start(Time now, const Plan& plan) {
  Outbox out;
  state_->begin(now, plan, out);
  return state_->addressed(std::move(out));
}

uint64_t Pipeline::submit(Request request) {
  const uint64_t id = state_->next_request++;
  state_->waiting.push_back({id, std::move(request)});
  state_->ordered = true;
  return id;
}

void Pipeline::cancel(uint64_t request) {
  state_->to_cancel.push_back(request);
  state_->ordered = true;
}
void Pipeline::close_session(uint64_t session) {
  state_->to_close.push_back(session);
  state_->ordered = true;
}
void Pipeline::shut_down() {
  state_->stop_asked = state_->ordered = true;
}
bool Pipeline::idle_work() {
  return state_->ordered && state_->phase != State::Phase::ended;
}

Outbox Pipeline::handle(Time now, Event event) {
  State& s = *state_;
  Outbox out;
  if (s.phase == State::Phase::ended) {
    if (event.kind == Event::Kind::up) s.ring.found(event.peer);
    if (event.kind == Event::Kind::down) s.ring.lost(event.peer);
    return out;
  }
  if (s.stop_asked) return s.stop();
  try {
    s.event(now, event, out);
    if (s.phase != State::Phase::ended) s.advance(now, out);
  } catch (const Fault& fault) {
    s.fail_ring(fault, out);
  }
  return s.addressed(std::move(out));
}

Outbox Pipeline::tick(Time now) {
  State& s = *state_;
  Outbox out;
  if (s.phase == State::Phase::ended) return out;
  if (s.stop_asked) return s.stop();
  try {
    s.check_deadlines(now);
    s.advance(now, out);
  } catch (const Fault& fault) {
    s.fail_ring(fault, out);
  }
  return s.addressed(std::move(out));
}

}  // namespace potluck
