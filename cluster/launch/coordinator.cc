// Turns calls of clients into requests of a ring, and the ring's reports into their answers.
#include "cluster/launch/coordinator.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cluster/cli/interrupt.h"
#include "cluster/ring/ring_plan.h"
#include "coordinator/control/ring_messages.h"
#include "topology/base/endpoint.h"
#include "topology/base/fault.h"
#include "topology/model/json_text.h"
#include "transport/state_machine.h"

namespace potluck {
namespace {

using Json = nlohmann::json;
using Call = std::shared_ptr<ControlCall>;

constexpr char kCall[] = "a call";
// Those of all workers; JSON may need twice as much.
constexpr size_t kLogsBytesMax = kControlTextMax / 4;

// JSON would write it by six letters.
bool is_control(char letter) {
  return static_cast<unsigned char>(letter) < ' ' && letter != '\n' && letter != '\t';
}

double worker_ms(const std::vector<Hop>& hops, PeerId worker) {
  double us = 0;
  for (const Hop& hop : hops)
    if (hop.peer == worker) us += hop.compute_us;
  return us / 1e3;
}

// Where a worker is, if nobody knows a name for that machine: the host that is dialed; empty: here.
std::string host_of(const WorkerPlan& worker) {
  const auto endpoint = parse_endpoint(worker.endpoint);
  const bool is_here = worker.local || !endpoint || is_loopback(*endpoint);
  return is_here ? "" : endpoint->host;
}

// As much of the end of each as fits one answer, from the beginning of a line. The channel replaces
// what is no UTF-8.
std::map<std::string, std::string> ends_of(std::map<std::string, std::string> logs) {
  const size_t share = kLogsBytesMax / std::max<size_t>(logs.size(), 1);
  for (auto& [name, log] : logs) {
    for (char& letter : log)
      if (is_control(letter)) letter = '.';
    if (log.size() <= share) continue;
    const size_t line = log.find('\n', log.size() - share);
    log.erase(0, line == std::string::npos ? log.size() - share : line + 1);
  }
  return logs;
}

}  // namespace

Coordinator::Coordinator(std::shared_ptr<const ModelSource> source, Ring& ring,
                         ControlServer& server, CoordinatorSetup setup)
    : source_(std::move(source)),
      ring_(ring),
      server_(server),
      setup_(std::move(setup)),
      drained_(
          ring_, [this] { return places(); }, setup_.own_hosts),
      started_(now()) {
  const auto known = ControlCallers::known;
  server_.on(kAskVerb, known, [this](const Call& call) { ask(call); });
  server_.on(kCloseVerb, known, [this](const Call& call) { close(*call); });
  server_.on(kDrainVerb, known, [this](const Call& call) { drained_.take(call); });
  server_.on(kStatusVerb, known, [this](const Call& call) { call->reply(status()); });
  server_.on(kLogsVerb, known, [this](const Call& call) {
    call->reply({{"logs", ends_of(ring_.logs())}});
  });
  server_.on(kModelVerb, known, [this](const Call& call) {
    if (vocabulary_.empty()) vocabulary_ = vocabulary_bytes(source_->vocabulary());
    call->reply(served_json({setup_.model, source_->spec(), ring_.plan(), vocabulary_.size()}));
  });
  server_.on(kVocabularyVerb, known, [this](const Call& call) {
    const int offset = JsonFields(call->body(), kCall).integer("offset");
    check_within("offset", offset, 0, static_cast<int64_t>(vocabulary_.size()));
    call->reply(Json::object(), vocabulary_.substr(static_cast<size_t>(offset), kVocabularyChunk));
  });
  server_.when_gone([this](ConnectionId client) { client_gone(client); });
}

Coordinator::~Coordinator() {
  server_.when_gone({});
}

void Coordinator::run() {
  while (!interrupt_signal()) {
    if (!ring_.turn(now() + from_seconds(kTickSeconds))) ring_.throw_failure();
    server_.serve(now());
    if (setup_.every_turn) setup_.every_turn(now());
  }
  say_goodbye();
}

void Coordinator::say_goodbye() {
  for (const auto& [id, running] : running_)
    running.call->fail(Fault(FaultKind::lost,
                             "the cluster was taken down before this answer was complete",
                             Fix{"potluck up starts it again"}));
}

// A session that its client kept may have been closed since, for others: then a new one takes its
// place. Nobody uses another client's.
void Coordinator::ask(Call call) {
  Request request = request_of(call->body(), call->bytes());
  const auto held = sessions_.find(request.session);
  if (held == sessions_.end() || held->second.client != call->client() || held->second.busy)
    request.session = 0;
  if (request.session == 0) make_room();
  const uint64_t session = request.session;
  const bool keep = request.keep_session;
  const ConnectionId client = call->client();
  const uint64_t id = ring_.submit(std::move(request), events_for(session));
  running_[id] = {call, keep};
  if (session) sessions_[session] = {client, id, true};
  call->when_canceled([this, id] { ring_.cancel(id); });
}

// The events are told to whoever has asked; it may have gone by then.
RequestEvents Coordinator::events_for(uint64_t session) {
  RequestEvents events;
  events.encoding = [this](const EncodeReport& report) {
    running_.at(report.request).begun = true;
    running_.at(report.request).call->event(event_json(report));
  };
  events.waiting = [this](const WaitReport& report) {
    running_.at(report.request).call->event(event_json(report));
  };
  events.step = [this](const StepReport& report) {
    note_step(report);
    running_.at(report.request)
        .call->event(event_json(report), ids_bytes(report.candidates->argmax));
  };
  events.canvas_done = [this](const CanvasReport& report) {
    running_.at(report.request).call->event(event_json(report), ids_bytes(report.ids));
  };
  events.stalled = [this](const StallReport& report) {
    setup_.log("an answer " + stall_text(report.stall));
  };
  events.finished = [this](uint64_t request, const RequestResult& result) {
    finished(request, result);
  };
  events.failed = [this, session](uint64_t request, const Fault& fault) {
    if (sessions_.erase(session)) ring_.close_session(session);
    failed(request, fault);
  };
  return events;
}

void Coordinator::note_step(const StepReport& report) {
  last_ = {ring_text(ring_.plan()), report.hops, report.step_ms};
}

// A step that went round another ring tells nothing of this one.
const Coordinator::Step& Coordinator::last_step() const {
  static const Step none;
  return last_.ms > 0 && last_.ring == ring_text(ring_.plan()) ? last_ : none;
}

void Coordinator::finished(uint64_t request, const RequestResult& result) {
  const Running done = std::move(running_.extract(request).mapped());
  ++answered_;
  sessions_.erase(result.session);
  if (done.keeps && !done.call->is_canceled())
    sessions_[result.session] = {done.call->client(), request, false};
  else if (done.keeps)
    ring_.close_session(result.session);
  done.call->reply(result_json(result, ring_.plan()), ids_bytes(result.ids));
}

void Coordinator::failed(uint64_t request, const Fault& fault) {
  running_.extract(request).mapped().call->fail(fault);
}

// A session that waits for its client's next question gives way to one that has asked; the one that
// has waited longest first. Its ids are encoded again when that question comes.
void Coordinator::make_room() {
  const auto idle = std::count_if(sessions_.begin(), sessions_.end(),
                                  [](const auto& each) { return !each.second.busy; });
  const size_t taken = running_.size() + static_cast<size_t>(idle);
  if (taken < static_cast<size_t>(ring_.plan().sessions)) return;
  auto oldest = sessions_.end();
  for (auto each = sessions_.begin(); each != sessions_.end(); ++each)
    if (!each->second.busy &&
        (oldest == sessions_.end() || each->second.last_used < oldest->second.last_used))
      oldest = each;
  if (oldest == sessions_.end()) return;
  ring_.close_session(oldest->first);
  sessions_.erase(oldest);
}

void Coordinator::close(ControlCall& call) {
  const std::string text = JsonFields(call.body(), kCall).text("session");
  for (auto each = sessions_.begin(); each != sessions_.end(); ++each) {
    if (std::to_string(each->first) != text || each->second.client != call.client()) continue;
    ring_.close_session(each->first);
    sessions_.erase(each);
    break;
  }
  call.reply(Json::object());
}

void Coordinator::client_gone(ConnectionId client) {
  for (auto each = sessions_.begin(); each != sessions_.end();) {
    const bool its = each->second.client == client && !each->second.busy;
    if (its) ring_.close_session(each->first);
    each = its ? sessions_.erase(each) : std::next(each);
  }
}

std::map<std::string, std::string> Coordinator::places() const {
  return setup_.places ? setup_.places() : std::map<std::string, std::string>();
}

Json Coordinator::status() const {
  Json workers = Json::array();
  std::map<std::string, std::string> hosts = places();
  for (PeerId peer = kHeadPeer; ring_.plan().has_worker(peer); ++peer)
    workers.push_back(worker_status(peer, hosts[ring_.plan().name_of(peer)]));
  Json beside = Json::array();
  for (const auto& [worker, host] : hosts)
    if (!host.empty() && !ring_.plan().peer_named(worker))
      beside.push_back({{"name", worker}, {"host", host}, {"why", ring_.why_not(worker)}});
  const auto begun = std::count_if(running_.begin(), running_.end(),
                                   [](const auto& each) { return each.second.begun; });
  return {{"name", setup_.name},
          {"model", setup_.model},
          {"up_seconds", seconds(now() - started_)},
          {"context", ring_.plan().ctx_size},
          {"sessions", ring_.plan().sessions},
          {"workers", std::move(workers)},
          {"drained", drained_.names()},
          {"beside", std::move(beside)},
          {"step", step_status()},
          {"links", link_status()},
          {"requests",
           {{"running", begun},
            {"waiting", running_.size() - static_cast<size_t>(begun)},
            {"answered", answered_}}}};
}

Json Coordinator::worker_status(PeerId worker, const std::string& host) const {
  const WorkerPlan& plan = ring_.plan().worker(worker);
  Json json = {{"name", plan.name},
               {"host", host.empty() ? host_of(plan) : host},
               {"device", plan.device},
               {"endpoint", plan.endpoint},
               {"layers", {plan.layers.begin, plan.layers.end}},
               {"step_ms", worker_ms(last_step().hops, worker)}};
  if (const auto ready = ring_.loaded().find(worker); ready != ring_.loaded().end()) {
    json["weight_bytes"] = ready->second.weight_bytes;
    json["kv_bytes"] = ready->second.kv_bytes;
    json["workspace_bytes"] = ready->second.workspace_bytes;
    json["free_bytes"] = ready->second.bytes_free;
    json["computes_on"] = ready->second.device;
    json["load_seconds"] = ready->second.load_seconds;
  }
  return json;
}

Json Coordinator::link_status() const {
  Json links = Json::array();
  PeerId from = kCoordinatorPeer;
  const Step& step = last_step();
  for (const Hop& hop : step.hops) {
    const uint64_t bytes = hop.payload_bytes + hop.header_bytes;
    links.push_back({{"from", ring_.plan().name_of(from)},
                     {"to", ring_.plan().name_of(hop.peer)},
                     {"bytes", bytes},
                     {"mb_per_s", static_cast<double>(bytes) / 1e3 / step.ms}});
    from = hop.peer;
  }
  return links;
}

// The last step was on the wires for as long as no worker computed it or had it queued.
Json Coordinator::step_status() const {
  double at_work_ms = 0;
  uint64_t bytes = 0;
  const Step& step = last_step();
  for (const Hop& hop : step.hops) {
    at_work_ms += (hop.compute_us + hop.queue_us) / 1e3;
    bytes += hop.payload_bytes + hop.header_bytes;
  }
  const double wire_ms = std::max(0.0, step.ms - at_work_ms);
  Json json = {{"ms", step.ms}, {"wire_ms", wire_ms}, {"wire_bytes", bytes}};
  if (const auto predicted = ring_.step_ms()) json["predicted_ms"] = *predicted;
  return json;
}

}  // namespace potluck
