// The worker's events: links that come and go, the coordinator's orders, and the ring's data.
#include "shard/worker.h"

#include <algorithm>
#include <new>
#include <string>
#include <utility>

#include "backends/make_backend.h"
#include "shard/workspace.h"
#include "topology/base/check.h"
#include "topology/base/text.h"
#include "topology/base/version.h"
#include "topology/model/partial_copy.h"
#include "topology/plan/cost_model.h"
#include "topology/plan/dialing.h"

namespace potluck {
namespace {

constexpr double kPlaceSeconds = 10;              // a coordinator's without a load
constexpr uint64_t kWordsBytesMax = 1024 * 1024;  // of messages without a payload that wait

uint32_t microseconds(Duration duration) {
  return std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
}

// Data messages that may wait at a worker: one may come twice, and be of a request that is over.
int64_t data_max(const Plan& plan) {
  return int64_t{4} * plan.sessions * plan.slots;
}

bool is_data(MessageKind kind) {
  return kind == MessageKind::encode || kind == MessageKind::denoise;
}

// These ride round the ring behind the data sent before them, so that no worker sees a session's
// data before its open, or after its close.
bool is_session(MessageKind kind) {
  return kind == MessageKind::open || kind == MessageKind::close || kind == MessageKind::truncate;
}

std::string name_of(const Plan& plan, PeerId peer) {
  return plan.has_worker(peer) ? plan.worker(peer).name : "peer " + std::to_string(peer);
}

}  // namespace

Worker::Worker(std::shared_ptr<const ModelSource> source, WorkerOptions options)
    : source_(std::move(source)), options_(std::move(options)) {
  CHECK(source_ || options_.fetch, options_.name);
  machine_ = {options_.device, options_.threads, options_.memory_bytes,
              new_backend({}, kUnassignedPeer)->info()};
}

Worker::~Worker() = default;

// As the plan says, if this worker is in it.
std::unique_ptr<Backend> Worker::new_backend(const Plan& plan, PeerId self) const {
  DeviceOptions device{.device = options_.device,
                       .precision = plan.precision,
                       .cpu = {options_.threads, options_.isa, options_.pin},
                       .ranges = options_.ranges};
  if (self != kUnassignedPeer && device.cpu.threads == 0)
    device.cpu.threads = plan.worker(self).threads;
  return make_backend(device);
}

Identity Worker::identity() const {
  Identity identity;
  identity.self = kUnassignedPeer;
  identity.hello.software = kSoftware;
  identity.hello.name = options_.name;
  identity.callers.emplace();
  if (!resting_ || coordinated_) identity.callers->push_back(kCoordinatorPeer);
  identity.keys[kCoordinatorPeer] = options_.coordinators;
  identity.unread_bytes_max = kWordsBytesMax;
  if (!loaded_) return identity;
  identity.unread_bytes_max += data_max(loaded_->plan) * payload_bytes_max();
  identity.self = loaded_->self;
  identity.incarnation = loaded_->ring.incarnation;
  identity.epoch = loaded_->ring.epoch;
  identity.hello.name = loaded_->plan.worker(loaded_->self).name;
  identity.secret = loaded_->secret;
  if (is_dialed(previous())) return identity;
  identity.callers->push_back(previous());
  identity.keys[previous()] = {loaded_->plan.worker(previous()).key};
  return identity;
}

std::string Worker::where() const {
  if (loaded_) return loaded_->plan.worker(loaded_->self).name;
  return options_.name.empty() ? "worker" : options_.name;
}

Outbox Worker::handle(Time now, Event event) {
  Outbox out;
  const Header about = event.message.header;
  attempt(about, out, [&] { take(now, event, out); });
  check_place(now, out);
  return out;
}

// Whatever a message causes, the worker goes on: the coordinator is told.
void Worker::attempt(const Header& about, Outbox& out, const std::function<void()>& work) {
  try {
    work();
  } catch (const Fault& fault) {
    fail(fault, about, out);
  } catch (const std::bad_alloc&) {
    fail(Fault(FaultKind::memory, "no memory is left", where()), about, out);
  } catch (const std::exception& error) {
    fail(Fault(FaultKind::world, error.what(), where()), about, out);
  }
}

void Worker::take(Time now, Event& event, Outbox& out) {
  const bool of_coordinator = event.peer == kCoordinatorPeer;
  switch (event.kind) {
    case Event::Kind::woken:
      return;
    case Event::Kind::up:
      return of_coordinator ? coordinator_up(now, event.message, out) : peer_up(event, out);
    case Event::Kind::down:
      return of_coordinator ? coordinator_down(event, out) : peer_down(event);
    case Event::Kind::message:
      return message(now, event, out);
  }
}

// Data and sessions of an older epoch, of another coordinator, or from before we were loaded are
// stale.
void Worker::message(Time now, Event& event, Outbox& out) {
  const Header& h = event.message.header;
  if (!is_data(h.kind) && !is_session(h.kind)) {
    if (event.peer == kCoordinatorPeer) control(event.message, out);
    return;
  }
  if (!loaded_ || loaded_->ring != ring_of(h)) return;
  if (!may_send(event.peer, h.kind))
    return end_link(event.peer, std::string("it sent ") + message_kind_name(h.kind), out);
  if (event.message.payload.bytes > payload_bytes_max())
    return end_link(event.peer, "it sent a payload that no worker of the plan sends", out);
  if (is_full(h.kind)) return end_link(event.peer, "it sent more than the plan lets it", out);
  queue_.push_back({std::move(event.message), now});
}

// The coordinator gives ids and sessions to the head; what rides round the ring comes from the
// worker before, and to the head no more than a canvas.
bool Worker::may_send(PeerId from, MessageKind kind) const {
  const bool head = loaded_->self == kHeadPeer;
  if (head && from == kCoordinatorPeer) return true;
  return from == previous() && (!head || kind == MessageKind::denoise);
}

PeerId Worker::previous() const {
  return loaded_->self == kHeadPeer ? stage_peer(loaded_->plan.stage_count() - 1)
                                    : loaded_->self - 1;
}

uint64_t Worker::payload_bytes_max() const {
  const ModelSpec& spec = source_->spec();
  return row_bytes(DType::f32, spec.hidden) * pass_rows_max(spec, loaded_->plan);
}

// Those of sessions are small, and a busy worker may see many.
bool Worker::is_full(MessageKind kind) const {
  const int64_t most = is_data(kind) ? data_max(loaded_->plan) : kLinkQueueMax;
  return most <= std::count_if(queue_.begin(), queue_.end(), [&](const Queued& q) {
           return is_data(q.message.header.kind) == is_data(kind);
         });
}

// A fault of a link ends that link.
void Worker::end_link(PeerId peer, const std::string& reason, Outbox& out) {
  options_.log("ended the link with peer " + std::to_string(peer) + ": " + reason);
  out.drops.push_back(peer);
  Event down;
  down.kind = Event::Kind::down;
  down.peer = peer;
  down.reason = reason;
  peer == kCoordinatorPeer ? coordinator_down(down, out) : peer_down(down);
}

Outbox Worker::tick(Time now) {
  Outbox out;
  check_place(now, out);
  obey_wish(out);
  if (queue_.empty()) return out;
  Queued work = std::move(queue_.front());
  queue_.pop_front();
  const Header about = work.message.header;
  attempt(about, out, [&] {
    is_data(about.kind) ? run(std::move(work), out) : apply_session(work.message, out);
  });
  return out;
}

void Worker::run(Queued work, Outbox& out) {
  const Time start = now();
  loaded_->sound = false;
  Message next = loaded_->role->run(work.message);
  loaded_->sound = true;
  const Message& in = work.message;
  Hop hop;
  hop.peer = loaded_->self;
  hop.queue_us = microseconds(start - std::min(start, work.arrived));
  hop.compute_us = microseconds(now() - start);
  hop.payload_bytes = in.payload.bytes;
  hop.header_bytes = in.wire_header_bytes;
  next.header.hops.push_back(hop);
  out.messages.push_back(std::move(next));
}

void Worker::apply_session(Message message, Outbox& out) {
  const Header& h = message.header;
  if (h.fork_of) throw Fault(FaultKind::refused, "sessions cannot be forked yet", where());
  if (h.kind == MessageKind::open) loaded_->role->open(h.session);
  if (h.kind == MessageKind::close) loaded_->role->close(h.session);
  if (h.kind == MessageKind::truncate) loaded_->role->truncate(h.session, h.kv_length_before);
  const PeerId next = loaded_->role->next();
  if (next == kHeadPeer) return;  // the last stage
  message.header.destination = next;
  out.messages.push_back(std::move(message));
}

void Worker::coordinator_up(Time now, const Message& message, Outbox& out) {
  leave(out);
  coordinated_ = true;
  idle_since_ = now;
  newest_ = {message.header.incarnation, 0};
  out.identity = identity();
  if (!message.hello)
    throw Fault(FaultKind::refused, "the coordinator did not say who it is", where());
  options_.log("coordinator connected: " + message.hello->software);
}

void Worker::coordinator_down(const Event& event, Outbox& out) {
  options_.log("coordinator gone: " + event.reason);
  leave(out);
  coordinated_ = false;
  newest_ = {};
  out.identity = identity();
  out.finished = options_.exit_on_shutdown;
}

// Whoever has nothing loaded for so long leaves the worker to others.
void Worker::check_place(Time now, Outbox& out) {
  if (!coordinated_ || loaded_) {
    idle_since_.reset();
  } else if (!idle_since_) {
    idle_since_ = now;
  } else if (now - *idle_since_ > from_seconds(kPlaceSeconds)) {
    end_link(kCoordinatorPeer, "it has had nothing loaded for 10 s", out);
  }
}

// The worker before dials for a ring, which may be an earlier one. A link that was dialed from here
// is for the ring that it was dialed for.
void Worker::peer_up(const Event& event, Outbox& out) {
  if (!loaded_) return;
  if (is_dialed(event.peer))
    loaded_->next_up = loaded_->joining;
  else if (event.peer == previous() && ring_of(event.message.header) == loaded_->ring)
    loaded_->previous_up = true;
  report_joined(out);
}

// A neighbour's link that goes down, or that does not come up, is the end of the ring. Why one does
// not come up is for this machine to know: a plan is no means to look around from here.
void Worker::peer_down(const Event& event) {
  if (!loaded_) return;
  const bool dialed = is_dialed(event.peer) && loaded_->joining;
  if (!dialed && !(event.peer == previous() && loaded_->previous_up)) return;
  const WorkerPlan& peer = loaded_->plan.worker(event.peer);
  if (dialed && !loaded_->next_up) {
    options_.log(peer.name + " was not reached: " + event.reason);
    throw Fault(FaultKind::lost, not_reached_text(peer),
                Fix{"see whether its worker runs there, and whether this machine may call it"},
                where());
  }
  (dialed ? loaded_->next_up : loaded_->previous_up) = false;
  throw Fault(FaultKind::lost, lost_text(peer, event.reason), where());
}

void Worker::control(const Message& message, Outbox& out) {
  const Header& h = message.header;
  if (h.incarnation != newest_.incarnation) return;
  switch (h.kind) {
    case MessageKind::load:
      return load(message, out);
    case MessageKind::join:
      if (loaded_ && loaded_->ring == ring_of(h)) join(out);
      return;
    case MessageKind::cancel:
      return cancel(h.session);
    case MessageKind::shutdown:
      options_.log("the coordinator is done");
      leave(out);
      out.identity = identity();
      out.finished = options_.exit_on_shutdown;
      return;
    default:
      return;  // answers of workers are not for us
  }
}

// Its close stays in the queue, and goes on round the ring.
void Worker::cancel(uint64_t session) {
  std::erase_if(queue_, [&](const Queued& q) {
    return is_data(q.message.header.kind) && q.message.header.session == session;
  });
}

void Worker::load(const Message& message, Outbox& out) {
  const RingId ring = ring_of(message.header);
  if (ring.epoch <= newest_.epoch) return options_.log("a load came twice; the first one counts");
  newest_ = ring;
  if (!message.load) throw Fault(FaultKind::refused, "a load without a plan", where());
  const Load& order = *message.load;
  check_order(order);
  auto next = std::make_unique<Loaded>();
  next->ring = ring;
  next->plan = order.plan;
  next->self = order.you;
  next->secret = order.secret;
  next->source = source_;
  if (loaded_ && loaded_->sound &&
      is_same_part(loaded_->plan, loaded_->self, next->plan, next->self))
    return keep_part(std::move(next), out);
  next->backend = new_backend(order.plan, order.you);
  build(std::move(next), out);
}

// A wrong order is found before anything is fetched for it, as far as it can be.
void Worker::check_order(const Load& order) {
  try {
    if (!source_) source_ = options_.fetch({}, false);
    check_load(order, *source_, machine_);
    have_part(order.plan, order.you);
    check_contents(order, *source_);
  } catch (const Fault& fault) {
    throw fault.at(name_of(order.plan, order.you));
  }
}

void Worker::have_part(const Plan& plan, PeerId self) {
  if (!options_.fetch) return;
  const bool head = self == kHeadPeer;
  const LayerRange layers = head ? LayerRange{} : plan.worker(self).layers;
  bool here = !head || holds_head(*source_);
  for (int i = layers.begin; i < layers.end; ++i) here = here && holds_layer(*source_, i);
  if (!here) source_ = options_.fetch(layers, head);
}

// Only the ring is another.
void Worker::keep_part(std::unique_ptr<Loaded> next, Outbox& out) {
  leave_neighbours(out);
  next->backend = std::move(loaded_->backend);
  next->role = std::move(loaded_->role);
  next->source = std::move(loaded_->source);
  next->role->rejoin(next->plan, next->self);
  next->ready = loaded_->ready;
  next->ready.load_seconds = 0;
  report_ready(std::move(next), out);
}

// From here on nothing is left of the old part, whatever happens to the new one.
void Worker::build(std::unique_ptr<Loaded> next, Outbox& out) {
  const Time start = now();
  const WorkerPlan& me = next->plan.worker(next->self);
  leave(out);
  out.identity = identity();
  try {
    check_memory_now(*next);
    next->role = make_ring_role(*next->source, next->plan, next->self, *next->backend);
  } catch (const Fault& fault) {
    throw fault.at(me.name);
  }
  next->ready = next->role->sizes();
  next->ready.load_seconds = seconds(now() - start);
  next->ready.device = machine_.info.name;
  next->ready.bytes_free = options_.memory_bytes ? options_.memory_bytes : machine_.info.bytes_free;
  report_ready(std::move(next), out);
}

void Worker::report_ready(std::unique_ptr<Loaded> next, Outbox& out) {
  loaded_ = std::move(next);
  const WorkerPlan& me = loaded_->plan.worker(loaded_->self);
  options_.log("loaded " + me.name +
               (loaded_->self == kHeadPeer ? "" : ", layers " + range_text(me.layers)) + ": " +
               bytes_text(loaded_->ready.weight_bytes) + " of weights");
  out.identity = identity();
  Message ready = to_coordinator(MessageKind::ready, loaded_->ring);
  ready.ready = loaded_->ready;
  out.messages.push_back(std::move(ready));
}

// Every worker of the ring is loaded, so the next one knows who it is when we dial it.
void Worker::join(Outbox& out) {
  if (std::exchange(loaded_->joining, true)) return;
  const PeerId next = loaded_->role->next();
  const WorkerPlan& to = loaded_->plan.worker(next);
  if (is_dialed(next)) out.connects.push_back({next, {to.endpoint, to.key}});
  report_joined(out);
}

// Each worker dials the next. A link serves both ways: head and a lone stage need one, which the
// head makes.
bool Worker::is_dialed(PeerId peer) const {
  const bool lone_stage = loaded_->self != kHeadPeer && loaded_->plan.stage_count() == 1;
  return peer == loaded_->role->next() && !lone_stage;
}

void Worker::report_joined(Outbox& out) {
  const PeerId next = loaded_->role->next();
  const bool is_up = is_dialed(next) ? loaded_->next_up : loaded_->previous_up;
  if (!loaded_->joining || loaded_->joined || !is_up) return;
  loaded_->joined = true;
  if (loaded_->plan.worker(loaded_->self).by_nccl) {
    Message wish = to_coordinator(MessageKind::card_link, loaded_->ring);
    wish.header.destination = next;
    out.messages.push_back(std::move(wish));
  }
  out.messages.push_back(to_coordinator(MessageKind::joined, loaded_->ring));
}

Message Worker::to_coordinator(MessageKind kind, RingId ring) const {
  Message message;
  message.header.kind = kind;
  message.header.destination = kCoordinatorPeer;
  stamp(message.header, ring);
  return message;
}

// Others may have taken some of the device's memory since this worker started.
void Worker::check_memory_now(const Loaded& next) const {
  Machine machine = machine_;
  machine.info = next.backend->info();
  check_memory({next.plan, next.self, {}}, *source_, machine);
}

// A fault is of the ring whose message it is about; without one, of the ring that we are in.
void Worker::fail(const Fault& fault, const Header& about, Outbox& out) {
  options_.log(std::string("fault: ") + fault.what());
  if (!coordinated_) return;
  const bool of_message = about.incarnation == newest_.incarnation && about.epoch != 0;
  const RingId ring = of_message ? ring_of(about) : loaded_ ? loaded_->ring : newest_;
  Message message = to_coordinator(MessageKind::fault, ring);
  message.header.session = about.session;
  message.header.request = about.request;
  message.fault = FaultReport{fault.kind(), fault.text(),
                              fault.where().empty() ? where() : fault.where(), fault.fix()};
  out.messages.push_back(std::move(message));
}

// Gives up the part, if there is one, and the links with its neighbours.
void Worker::leave(Outbox& out) {
  leave_neighbours(out);
  loaded_.reset();
}

void Worker::leave_neighbours(Outbox& out) {
  queue_.clear();
  if (!loaded_) return;
  if (loaded_->previous_up) out.drops.push_back(previous());
  if (loaded_->joining && is_dialed(loaded_->role->next()))
    out.drops.push_back(loaded_->role->next());
}

void Worker::rest(bool wish) {
  wish_ = wish;
}

// A coordinator that is there says when it can do without the worker, by ending the link.
void Worker::obey_wish(Outbox& out) {
  if (std::exchange(resting_, wish_) == wish_) return;
  if (coordinated_ && resting_)
    out.messages.push_back(to_coordinator(MessageKind::drain, loaded_ ? loaded_->ring : newest_));
  if (!coordinated_) out.identity = identity();
}

}  // namespace potluck
