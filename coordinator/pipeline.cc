// The pipeline's state holds the ring, its requests, and what is done about losses.
#include "coordinator/pipeline.h"

#include <algorithm>
#include <string>
#include <utility>

#include "coordinator/request_table.h"
#include "topology/base/version.h"
#include "topology/plan/dialing.h"
#include "topology/plan/plan_check.h"

namespace potluck {

namespace {
constexpr double kStepTimeoutSeconds = 30;  // at least; see PipelineOptions
constexpr double kStepTimeoutFactor = 5;    // × the slowest step seen
constexpr double kFirstStepSeconds = 1800;  // nothing is known of the ring's speed yet
constexpr double kLoadAgainFactor = 5;      // × what the first load took
}  // namespace

struct Pipeline::State {
  // settling: a worker was lost, and it is not certain yet who can go on; replanned: there is
  // another plan, which the next tick begins to load.
  enum class Phase { idle, starting, running, settling, replanned, ended };

  State(const ModelSpec& model_spec, Fingerprint model, PipelineEvents listeners,
        PipelineOptions wishes)
      : spec(model_spec),
        events(std::move(listeners)),
        options(std::move(wishes)),
        ring(std::move(model), options.ring_secret, start_events()),
        requests(spec, plan, events.requests),
        recovery(options.replan) {
    plan.epoch = 0;  // every plan's is greater
  }

  const ModelSpec& spec;
  const PipelineEvents events;
  const PipelineOptions options;
  Plan plan, next;
  RingStart ring;
  RequestTable requests;
  Recovery recovery;
  Phase phase = Phase::idle;
  Time began{};                // to load the plan
  double load_seconds = 0;     // of the owner's plan
  double slowest_seconds = 0;  // of an answer
  bool stop_asked = false, been_loaded = false;
  std::vector<std::string> forgotten;  // and Recovery is not told yet

  RingId ring_id() const { return {options.incarnation, plan.epoch}; }
  RingStartEvents start_events();
  Identity identity() const;
  void send_all(MessageKind kind, Outbox& out) const;
  Outbox addressed(Outbox out) const;
  void start(Time now, const Plan& wanted, Outbox& out);
  void begin(Time now, const Plan& wanted, double timeout_seconds, Outbox& out);
  void begin_next(Time now, Outbox& out);
  void event(Time now, const Event& event, Outbox& out);
  void up(Time now, const Event& event, Outbox& out);
  void down(Time now, const Event& event, Outbox& out);
  void message(Time now, const Event& event, Outbox& out);
  void loaded(Time now, Outbox& out);
  void check_sender(const Event& event, PeerId worker) const;
  void wrong(Time now, PeerId link, const Fault& fault, Outbox& out);
  void forget_left(Outbox& out);
  void tell_news();
  void reply(Time now, const Message& message);
  void worker_fault(Time now, const Event& event, Outbox& out);
  void leave(Time now, const Event& event, Outbox& out);
  void check_deadlines(Time now, Outbox& out);
  void disturbed(Time now, const Fault& fault, Outbox& out);
  void settle(Time now, Outbox& out);
  void replan(Time now, Outbox& out);
  void change(Time now);
  void fail_ring(const Fault& fault, Outbox& out);
  void advance(Time now, Outbox& out);
  double step_limit() const;
  Outbox stop();
};

RingStartEvents Pipeline::State::start_events() {
  RingStartEvents all = events.start;
  all.ready = [this](PeerId worker, const Ready& ready) {
    recovery.ready(plan.worker(worker), ready);
    if (events.start.ready) events.start.ready(worker, ready);
  };
  return all;
}

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

void Pipeline::State::send_all(MessageKind kind, Outbox& out) const {
  for (PeerId worker = kHeadPeer; worker < stage_peer(plan.stage_count()); ++worker) {
    Message m;
    m.header.kind = kind;
    m.header.destination = worker;
    out.messages.push_back(std::move(m));
  }
}

// Every message that leaves passes here: it gets the ring's stamp, and goes from the worker that
// the plan names to the link that leads there. What is for a worker without a link is left out.
Outbox Pipeline::State::addressed(Outbox out) const {
  std::erase_if(out.messages, [&](const Message& m) { return !ring.is_up(m.header.destination); });
  for (Message& m : out.messages) {
    stamp(m.header, ring_id());
    m.header.destination = ring.link_to(m.header.destination);
  }
  return out;
}

void Pipeline::State::start(Time now, const Plan& wanted, Outbox& out) {
  validate(wanted, spec);
  if (wanted.epoch <= plan.epoch)
    throw Fault(FaultKind::input,
                "a ring of epoch " + std::to_string(plan.epoch) + " cannot be loaded with epoch " +
                    std::to_string(wanted.epoch),
                Fix{"it must be greater"});
  recovery.begins_with(wanted);
  stop_asked = been_loaded = false;
  slowest_seconds = 0;
  begin(now, wanted, options.load_timeout_seconds, out);
}

void Pipeline::State::begin(Time now, const Plan& wanted, double timeout_seconds, Outbox& out) {
  plan = wanted;
  phase = Phase::starting;
  began = now;
  out.identity = identity();
  ring.begin(now, plan, {timeout_seconds, options.fetch_seconds}, out);
}

// A plan that Recovery has got. Others may take longer for the same work.
void Pipeline::State::begin_next(Time now, Outbox& out) {
  validate(next, spec);
  next.epoch = plan.epoch + 1;
  recovery.begins(now, next);
  slowest_seconds = 0;
  if (events.ring_changed) events.ring_changed(next);
  begin(now, next,
        been_loaded ? std::max(options.load_again_seconds, kLoadAgainFactor * load_seconds)
                    : options.load_timeout_seconds,
        out);
}

void Pipeline::State::event(Time now, const Event& event, Outbox& out) {
  if (event.kind == Event::Kind::up) up(now, event, out);
  if (event.kind == Event::Kind::down) down(now, event, out);
  if (event.kind == Event::Kind::message) message(now, event, out);
}

void Pipeline::State::up(Time now, const Event& event, Outbox& out) {
  const std::optional<PeerId> worker = ring.worker_on(event.peer);
  if (worker && phase == Phase::starting) return ring.handle(now, event, out);
  ring.found(event.peer);
  if (worker)
    recovery.back(plan.worker(*worker));
  else
    recovery.up(event.peer);
}

void Pipeline::State::down(Time now, const Event& event, Outbox& out) {
  const std::optional<PeerId> lost = ring.worker_on(event.peer);
  const bool was_up = lost && ring.is_up(*lost);
  ring.lost(event.peer);
  if (!lost) return recovery.down(now, event.peer);
  if (phase == Phase::replanned && !was_up) return;  // the next plan was made for that
  const WorkerPlan worker = plan.worker(*lost);
  const Fault fault(FaultKind::lost, (was_up ? "lost worker " : "no link from here to worker ") +
                                         worker.name + " at " + worker.endpoint + ": " +
                                         event.reason);
  if (!recovery.is_on() || !(been_loaded || was_up || options.may_begin_without))
    return fail_ring(fault, out);
  if (phase != Phase::settling || was_up) recovery.gone(now, worker);
  disturbed(now, fault, out);
}

// A message that is not of this ring as it is now is stale.
void Pipeline::State::message(Time now, const Event& event, Outbox& out) {
  const Header& h = event.message.header;
  if (h.kind == MessageKind::drain && h.incarnation == options.incarnation)
    return leave(now, event, out);
  if (ring_of(h) != ring_id()) return;
  switch (h.kind) {
    case MessageKind::ready:
    case MessageKind::joined:
      if (phase != Phase::starting) return;
      ring.handle(now, event, out);
      if (ring.done()) loaded(now, out);
      return;
    case MessageKind::fault:
      return worker_fault(now, event, out);
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

void Pipeline::State::loaded(Time now, Outbox& out) {
  phase = Phase::running;
  if (!std::exchange(been_loaded, true)) load_seconds = seconds(now - began);
  const Time noticed = recovery.is_open() ? recovery.noticed() : began;
  requests.ring_is_empty(now, recovery.loaded(now), noticed, out);
}

void Pipeline::State::check_sender(const Event& event, PeerId worker) const {
  const std::optional<PeerId> from = ring.worker_on(event.peer);
  if (from == worker) return;
  const char* kind = message_kind_name(event.message.header.kind);
  throw Fault(FaultKind::refused,
              std::string("it sent ") + kind + ", which " + plan.worker(worker).name + " sends",
              from ? plan.worker(*from).name : "peer " + std::to_string(event.peer));
}

// Whoever sends what it may not loses its link, as if its cable had been pulled.
void Pipeline::State::wrong(Time now, PeerId link, const Fault& fault, Outbox& out) {
  const bool may_go_on = been_loaded || options.may_begin_without;
  if (fault.kind() != FaultKind::refused || !recovery.is_on() || !may_go_on)
    return fail_ring(fault, out);
  if (const std::optional<PeerId> worker = ring.worker_on(link))
    recovery.wrong(now, plan.worker(*worker));
  Event end;
  end.kind = Event::Kind::down;
  end.peer = link;
  end.reason = fault.text();
  out.drops.push_back(link);
  down(now, end, out);
}

void Pipeline::State::reply(Time now, const Message& message) {
  if (phase != Phase::running) return;
  const double waited = requests.reply(now, message);
  slowest_seconds = std::max(slowest_seconds, waited);
  if (waited > 0) recovery.answered(plan, message.header);
}

// A worker that cannot be what a new plan asks of it is done without; a first plan is the owner's,
// who is told. (explained() changes what is said of a neighbour that was never reached.)
void Pipeline::State::worker_fault(Time now, const Event& event, Outbox& out) {
  const FaultReport report = event.message.fault.value_or(FaultReport{});
  const Fault given(report.kind, report.what, report.fix, report.where);
  const PeerId from = ring.worker_on(event.peer).value_or(kCoordinatorPeer);
  const Fault fault = explained(given, plan, from);
  if (requests.fail(event.message.header, fault)) return;
  const std::optional<PeerId> other = lost_neighbour(given, plan, from);
  const bool had_it = other && fault.text() == given.text();
  const bool may_go_on = been_loaded || had_it || (other && options.may_begin_without);
  if (!recovery.is_on() || !may_go_on || !plan.has_worker(from)) return fail_ring(fault, out);
  const WorkerPlan worker = plan.worker(from);
  if (other)
    recovery.suspected(plan.worker(*other));
  else if (given.kind() == FaultKind::memory)
    recovery.does_not_fit(worker);
  else
    recovery.gone(now, worker);
  disturbed(now, fault, out);
}

// Whoever is asked back and does not want to come is let go.
void Pipeline::State::leave(Time now, const Event& event, Outbox& out) {
  if (const std::optional<PeerId> worker = ring.worker_on(event.peer))
    return recovery.leave(plan.worker(*worker).name, true);
  ring.drop(event.peer, out);
  recovery.declined(now, event.peer);
}

void Pipeline::State::check_deadlines(Time now, Outbox& out) {
  try {
    if (phase == Phase::starting) ring.check_deadline(now);
    if (phase == Phase::running) requests.check_deadlines(now, step_limit());
  } catch (const Fault& late) {
    if (!recovery.is_on() || !been_loaded) throw;
    if (phase == Phase::starting)
      for (PeerId worker : ring.overdue(now)) recovery.gone(now, plan.worker(worker));
    disturbed(now, late, out);
  }
}

void Pipeline::State::disturbed(Time now, const Fault& fault, Outbox& out) {
  recovery.disturbed(now, fault);
  if (phase != Phase::settling && events.ring_disturbed) events.ring_disturbed(fault);
  phase = Phase::settling;
  settle(now, out);
}

void Pipeline::State::settle(Time now, Outbox& out) {
  switch (recovery.verdict(now)) {
    case Recovery::Verdict::wait:
      if (!recovery.wants_dial(now)) return;
      for (PeerId worker = kHeadPeer; worker < stage_peer(plan.stage_count()); ++worker)
        if (!plan.worker(worker).local) ring.redial(worker, out);
      return;
    case Recovery::Verdict::give_up:
      return fail_ring(recovery.fault(), out);
    case Recovery::Verdict::same_plan:
    case Recovery::Verdict::another_plan:
      return replan(now, out);
  }
}

void Pipeline::State::replan(Time now, Outbox& out) {
  try {
    next = recovery.next_plan(now, plan);
    phase = Phase::replanned;
  } catch (const Fault& fault) {
    fail_ring(fault, out);
  }
}

// Nothing is on its way round the ring, so it may take another shape.
void Pipeline::State::change(Time now) {
  std::string why_not;
  const std::optional<Plan> wanted = recovery.change(now, plan, why_not);
  if (!why_not.empty() && events.ring_stays) events.ring_stays(why_not);
  if (!wanted) return;
  next = *wanted;
  phase = Phase::replanned;
}

// The first fault wins; every request gets it.
void Pipeline::State::fail_ring(const Fault& fault, Outbox& out) {
  if (phase == Phase::ended) return;
  phase = Phase::ended;
  send_all(MessageKind::shutdown, out);
  requests.fail_all(fault);
  if (events.ring_failed) events.ring_failed(fault);
  out.finished = true;
}

void Pipeline::State::advance(Time now, Outbox& out) {
  if (phase == Phase::ended) return;
  requests.obey(out);
  forget_left(out);
  if (phase != Phase::running) return;
  recovery.dial_missing(now, ring, out);
  recovery.consider(now, plan, ring, out);
  tell_news();
  requests.advance(now, recovery.wants_rest(), out);
  if (recovery.wants_rest() && requests.rests()) change(now);
}

void Pipeline::State::forget_left(Outbox& out) {
  for (const std::string& name : std::exchange(forgotten, {})) {
    if (plan.peer_named(name)) recovery.leave(name, false);
    recovery.forget(name, ring, out);
  }
}

void Pipeline::State::tell_news() {
  for (const auto& [worker, why] : recovery.take_news())
    if (events.left_out && !plan.peer_named(worker)) events.left_out(worker, why);
}

double Pipeline::State::step_limit() const {
  if (options.step_timeout_seconds > 0) return options.step_timeout_seconds;
  if (slowest_seconds == 0) return kFirstStepSeconds;
  return std::max(kStepTimeoutSeconds, kStepTimeoutFactor * slowest_seconds);
}

Outbox Pipeline::State::stop() {
  Outbox out;
  phase = Phase::ended;
  send_all(MessageKind::shutdown, out);
  out.finished = true;
  return addressed(std::move(out));
}

Pipeline::Pipeline(const ModelSpec& spec, Fingerprint model, PipelineEvents events,
                   PipelineOptions options)
    : state_(
          std::make_unique<State>(spec, std::move(model), std::move(events), std::move(options))) {}

Pipeline::~Pipeline() = default;

Outbox Pipeline::start(Time now, const Plan& plan) {
  Outbox out;
  state_->start(now, plan, out);
  return state_->addressed(std::move(out));
}

uint64_t Pipeline::submit(Request request) {
  return state_->requests.submit(std::move(request));
}
void Pipeline::cancel(uint64_t request) {
  state_->requests.cancel(request);
}
void Pipeline::close_session(uint64_t session) {
  state_->requests.close_session(session);
}

void Pipeline::set_aside(const std::set<std::string>& workers) {
  state_->recovery.set_aside(state_->plan, workers);
}

void Pipeline::take_back(const std::set<std::string>& workers) {
  state_->recovery.take_back(workers);
}

void Pipeline::forget(const std::string& worker) {
  state_->forgotten.push_back(worker);
}

void Pipeline::invite(const Candidate& guest) {
  state_->recovery.invite(guest);
}

void Pipeline::shut_down() {
  state_->stop_asked = true;
}

std::string Pipeline::why_not(const std::string& worker) const {
  return state_->recovery.why_not(state_->plan, worker);
}

bool Pipeline::idle_work() {
  const State& s = *state_;
  return s.phase != State::Phase::ended &&
         (s.requests.has_orders() || s.stop_asked || !s.forgotten.empty() ||
          s.phase == State::Phase::replanned);
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
    try {
      s.event(now, event, out);
    } catch (const Fault& fault) {
      s.wrong(now, event.peer, fault, out);
    }
    if (s.phase == State::Phase::settling) s.settle(now, out);
    s.advance(now, out);
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
    s.check_deadlines(now, out);
    if (s.phase == State::Phase::settling)
      s.settle(now, out);
    else if (s.phase == State::Phase::replanned)
      s.begin_next(now, out);
    s.advance(now, out);
  } catch (const Fault& fault) {
    s.fail_ring(fault, out);
  }
  return s.addressed(std::move(out));
}

}  // namespace potluck
