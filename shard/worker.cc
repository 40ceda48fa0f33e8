// The worker's events: links that come and go, the coordinator's orders, and the ring's data.
#include "shard/worker.h"

#include <algorithm>
#include <string>
#include <utility>

#include "backends/make_backend.h"
#include "topology/base/text.h"
#include "topology/base/version.h"
#include "topology/plan/cost_model.h"

namespace potluck {
namespace {

uint32_t microseconds(Duration duration) {
  return std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
}

bool is_data(MessageKind kind) {
  return kind == MessageKind::encode || kind == MessageKind::denoise;
}

// These ride round the ring behind the data sent before them, so that no worker sees a session's
// data before its open, or after its close.
bool is_session(MessageKind kind) {
  return kind == MessageKind::open || kind == MessageKind::close;
}

std::string name_of(const Plan& plan, PeerId peer) {
  const bool known = peer >= kHeadPeer && peer < stage_peer(plan.stage_count());
  return known ? plan.worker(peer).name : "peer " + std::to_string(peer);
}

}  // namespace

Worker::Worker(std::shared_ptr<const ModelSource> source, WorkerOptions options)
    : source_(std::move(source)),
      options_(std::move(options)),
      spec_digest_(spec_digest(*source_)) {
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
  identity.self = loaded_ ? loaded_->self : kUnassignedPeer;
  identity.incarnation = newest_.incarnation;
  identity.epoch = loaded_ ? loaded_->ring.epoch : 0;
  identity.hello.software = kSoftware;
  identity.hello.name = options_.name;
  identity.hello.model.spec = spec_digest_;
  identity.hello.device = machine_.info.name;
  identity.hello.bytes_free =
      options_.memory_bytes ? options_.memory_bytes : machine_.info.bytes_free;
  identity.hello.threads = options_.threads;
  return identity;
}

std::string Worker::where() const {
  return options_.name.empty() ? "worker" : options_.name;
}

Outbox Worker::handle(Time now, Event event) {
  Outbox out;
  const bool of_coordinator = event.peer == kCoordinatorPeer;
  try {
    switch (event.kind) {
      case Event::Kind::woken:
        break;
      case Event::Kind::up:
        of_coordinator ? coordinator_up(event.message, out) : peer_up(event, out);
        break;
      case Event::Kind::down:
        of_coordinator ? coordinator_down(event, out) : peer_down(event);
        break;
      case Event::Kind::message:
        message(now, event, out);
    }
  } catch (const Fault& fault) {
    fail(fault, event.message.header, out);
  }
  return out;
}

// Data and sessions of an older epoch, of another coordinator, or from before we were loaded are
// stale.
void Worker::message(Time now, Event& event, Outbox& out) {
  const Header& h = event.message.header;
  if (is_data(h.kind) || is_session(h.kind)) {
    if (loaded_ && loaded_->ring == ring_of(h)) queue_.push_back({std::move(event.message), now});
  } else if (event.peer == kCoordinatorPeer) {
    control(event.message, out);
  }
}

Outbox Worker::tick(Time) {
  Outbox out;
  if (queue_.empty()) return out;
  Queued work = std::move(queue_.front());
  queue_.pop_front();
  const Header about = work.message.header;
  try {
    is_data(about.kind) ? run(std::move(work), out) : apply_session(work.message, out);
  } catch (const Fault& fault) {
    fail(fault, about, out);
  }
  return out;
}

void Worker::run(Queued work, Outbox& out) {
  const Time start = now();
  Message next = loaded_->role->run(work.message);
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
  if (h.kind == MessageKind::open)
    loaded_->role->open(h.session);
  else
    loaded_->role->close(h.session);
  const PeerId next = loaded_->role->next();
  if (next == kHeadPeer) return;  // the last stage
  message.header.destination = next;
  out.messages.push_back(std::move(message));
}

void Worker::coordinator_up(const Message& message, Outbox& out) {
  leave({}, out);
  coordinated_ = true;
  newest_ = {message.header.incarnation, 0};
  out.identity = identity();
  if (!message.hello)
    throw Fault(FaultKind::refused, "the coordinator did not say who it is", where());
  options_.log("coordinator connected: " + message.hello->software);
  check_model(*message.hello, "the coordinator");
}

void Worker::coordinator_down(const Event& event, Outbox& out) {
  options_.log("coordinator gone: " + event.reason);
  leave({}, out);
  coordinated_ = false;
  newest_ = {};
  out.identity = identity();
  out.finished = options_.exit_on_shutdown;
}

// Whoever dials knows which ring the link is for; the one dialed may not have heard of it yet.
void Worker::peer_up(const Event& event, Outbox& out) {
  const RingId ring = ring_of(event.message.header);
  links_[event.peer] = ring;
  if (ring.incarnation != newest_.incarnation) return;
  const std::string who = "peer " + std::to_string(event.peer);
  if (!event.message.hello)
    throw Fault(FaultKind::refused, who + " did not say who it is", where());
  const Hello& hello = *event.message.hello;
  check_model(hello, hello.name.empty() ? who : hello.name);
  report_joined(out);
}

void Worker::check_model(const Hello& hello, const std::string& who) const {
  if (hello.model.spec == spec_digest_) return;
  throw Fault(FaultKind::refused,
              "my model (" + source_->description() + ", fingerprint " + digest_text(spec_digest_) +
                  ") is not that of " + who + " (fingerprint " + digest_text(hello.model.spec) +
                  ")",
              Fix{"start this worker with the same model file", Setting::model}, where());
}

// A neighbour's link that goes down, or that does not come up, is the end of the ring.
void Worker::peer_down(const Event& event) {
  const auto link = links_.find(event.peer);
  const bool dialed =
      loaded_ && loaded_->joining && dials_next() && event.peer == loaded_->role->next();
  const bool ours = loaded_ && link != links_.end() && link->second == loaded_->ring;
  if (link != links_.end()) links_.erase(link);
  if (ours || (dialed && !loaded_->joined))
    throw Fault(FaultKind::lost, "lost " + name_of(loaded_->plan, event.peer) + ": " + event.reason,
                where());
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
      leave({}, out);
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
  options_.name = name_of(order.plan, order.you);
  check_load(order, *source_, machine_);
  auto next = std::make_unique<Loaded>();
  next->ring = ring;
  next->plan = order.plan;
  next->self = order.you;
  next->backend = new_backend(order.plan, order.you);
  build(std::move(next), out);
}

// From here on nothing is left of the old part, whatever happens to the new one.
void Worker::build(std::unique_ptr<Loaded> next, Outbox& out) {
  const Time start = now();
  leave(next->ring, out);
  out.identity = identity();
  check_memory_now(*next);
  next->role = make_ring_role(*source_, next->plan, next->self, *next->backend);
  next->ready = next->role->sizes();
  next->ready.load_seconds = seconds(now() - start);
  loaded_ = std::move(next);
  const WorkerPlan& me = loaded_->plan.worker(loaded_->self);
  options_.log("loaded " + me.name +
               (loaded_->self == kHeadPeer ? "" : ", layers " + range_text(me.layers)) + ": " +
               bytes_text(loaded_->ready.weight_bytes) + " of weights");
  const std::string note = expansion_note(*source_, loaded_->plan, me);
  if (!note.empty()) options_.log(me.name + ": " + note);
  out.identity = identity();
  Message ready = to_coordinator(MessageKind::ready, loaded_->ring);
  ready.ready = loaded_->ready;
  out.messages.push_back(std::move(ready));
}

// Every worker of the ring is loaded, so the next one knows who it is when we dial it.
void Worker::join(Outbox& out) {
  if (std::exchange(loaded_->joining, true)) return;
  const PeerId next = loaded_->role->next();
  if (dials_next()) out.connects.push_back({next, loaded_->plan.worker(next).endpoint});
  report_joined(out);
}

// A link serves both ways: head and a lone stage need one, which the head makes.
bool Worker::dials_next() const {
  return loaded_->self == kHeadPeer || loaded_->role->next() != kHeadPeer ||
         loaded_->plan.stage_count() > 1;
}

void Worker::report_joined(Outbox& out) {
  if (!loaded_ || !loaded_->joining || loaded_->joined) return;
  const auto link = links_.find(loaded_->role->next());
  if (link == links_.end()) return;
  if (link->second != loaded_->ring)
    throw Fault(FaultKind::refused, name_of(loaded_->plan, link->first) + " is in another ring",
                Fix{"see whether its endpoint is right"}, where());
  loaded_->joined = true;
  if (loaded_->plan.worker(loaded_->self).by_nccl) {
    Message wish = to_coordinator(MessageKind::card_link, loaded_->ring);
    wish.header.destination = link->first;
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

// Gives up the part, if there is one, and every link but those of the ring that comes next.
void Worker::leave(RingId next, Outbox& out) {
  if (loaded_ && loaded_->joining) links_.emplace(loaded_->role->next(), loaded_->ring);  // dialed
  std::erase_if(links_, [&](const auto& link) {
    if (link.second == next) return false;
    out.drops.push_back(link.first);
    return true;
  });
  queue_.clear();
  loaded_.reset();
}

}  // namespace potluck
