// A worker's life: coordinator and ring links, loading a plan, data in order, sessions, faults.
#include "shard/worker.h"

#include <algorithm>
#include <string>
#include <utility>

#include "backends/make_backend.h"
#include "topology/base/check.h"
#include "topology/base/text.h"
#include "topology/base/version.h"
#include "topology/plan/cost_model.h"
#include "topology/plan/plan_check.h"

namespace potluck {
namespace {

uint32_t microseconds(Duration duration) {
  return static_cast<uint32_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(duration).count());
}

bool is_data(MessageKind kind) {
  return kind == MessageKind::encode || kind == MessageKind::denoise;
}

// These ride round the ring behind the data sent before them, so that no worker sees a session's
// data before its open, or after its close.
bool is_session(MessageKind kind) {
  return kind == MessageKind::open || kind == MessageKind::close || kind == MessageKind::truncate;
}

}  // namespace

Worker::Worker(std::shared_ptr<const ModelSource> source, WorkerOptions options)
    : source_(std::move(source)),
      options_(std::move(options)),
      spec_digest_(spec_digest(*source_)) {
  device_ = new_backend()->info();
}

// As the plan says, if there is one.
std::unique_ptr<Backend> Worker::new_backend() const {
  DeviceOptions device{.device = options_.device,
                       .precision = plan_.precision,
                       .cpu = {options_.threads, options_.isa, options_.pin}};
  if (self_ != kUnassignedPeer && device.cpu.threads == 0)
    device.cpu.threads = plan_.worker(self_).threads;
  return make_backend(device);
}

Worker::~Worker() = default;

Identity Worker::identity() const {
  Identity identity;
  identity.self = self_;
  identity.incarnation = incarnation_;
  identity.epoch = plan_.epoch;
  identity.hello.software = kSoftware;
  identity.hello.name = options_.name;
  identity.hello.model.spec = spec_digest_;
  identity.hello.device = device_.name;
  identity.hello.bytes_free = options_.memory_bytes ? options_.memory_bytes : device_.bytes_free;
  identity.hello.threads = options_.threads;
  return identity;
}

std::string Worker::where() const {
  return options_.name.empty() ? "worker" : options_.name;
}

Outbox Worker::handle(Time now, Event event) {
  Outbox out;
  try {
    switch (event.kind) {
      case Event::Kind::woken:
        break;
      case Event::Kind::up:
        event.peer == kCoordinatorPeer ? coordinator_up(event.message, out) : peer_up(event);
        report_ready(out);
        break;
      case Event::Kind::down:
        peer_down(event, out);
        break;
      case Event::Kind::message:
        if (is_data(event.message.header.kind) || is_session(event.message.header.kind)) {
          if (current(event.message.header)) queue_.push_back({std::move(event.message), now});
        } else if (event.peer == kCoordinatorPeer) {
          control(event.message, out);
          report_ready(out);
        }
    }
  } catch (const Fault& fault) {
    fail(fault, event.message.header, out);
  }
  return out;
}

// A message of an older epoch, of another coordinator, or from before we were loaded is stale.
bool Worker::current(const Header& header) const {
  return role_ && header.incarnation == incarnation_ && header.epoch == plan_.epoch;
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
  Message next = role_->run(work.message);
  const Message& in = work.message;
  Hop hop;
  hop.peer = self_;
  hop.queue_us = microseconds(start - std::min(start, work.arrived));
  hop.compute_us = microseconds(now() - start);
  hop.payload_bytes = in.payload.bytes;
  hop.header_bytes = in.wire_header_bytes;
  next.header.hops.push_back(hop);
  out.messages.push_back(std::move(next));
}

void Worker::apply_session(Message message, Outbox& out) {
  const Header& h = message.header;
  if (h.kind == MessageKind::open) role_->open(h.session, h.fork_of);
  if (h.kind == MessageKind::close) role_->close(h.session);
  if (h.kind == MessageKind::truncate) role_->truncate(h.session, h.kv_length_before);
  if (role_->next() == kHeadPeer) return;  // the last stage
  message.header.destination = role_->next();
  out.messages.push_back(std::move(message));
}

void Worker::coordinator_up(const Message& message, Outbox& out) {
  reset(out);
  coordinated_ = true;
  incarnation_ = message.header.incarnation;
  CHECK(message.hello.has_value());
  options_.log("coordinator connected: " + message.hello->software);
  out.identity = identity();
  check_model(*message.hello, "the coordinator");
}

void Worker::peer_up(const Event& event) {
  CHECK(event.message.hello.has_value());
  const Hello& hello = *event.message.hello;
  // Whoever dials knows which ring the link is for; the one dialled may not have heard of it yet.
  const bool dialled_by_us = role_ && dials_next() && event.peer == role_->next();
  links_[event.peer] = dialled_by_us ? incarnation_ : event.message.header.incarnation;
  check_model(hello, hello.name.empty() ? "peer " + std::to_string(event.peer) : hello.name);
}

void Worker::check_model(const Hello& hello, const std::string& who) const {
  if (hello.model.spec == spec_digest_) return;
  throw Fault(FaultKind::refused,
              "my model (" + source_->description() + ", fingerprint " + digest_text(spec_digest_) +
                  ") is not that of " + who + " (fingerprint " + digest_text(hello.model.spec) +
                  ")",
              Fix{"start this worker with the same model file", Setting::model}, where());
}

void Worker::peer_down(const Event& event, Outbox& out) {
  if (event.peer == kCoordinatorPeer) {
    options_.log("coordinator gone: " + event.reason);
    reset(out);
    coordinated_ = false;
    out.identity = identity();
    out.finished = options_.exit_on_shutdown;
    return;
  }
  const auto link = links_.find(event.peer);
  const bool of_another_ring = link != links_.end() && link->second != incarnation_;
  if (link != links_.end()) links_.erase(link);
  if (!role_ || of_another_ring) return;
  throw Fault(FaultKind::lost, "lost " + plan_.worker(event.peer).name + ": " + event.reason,
              where());
}

void Worker::control(const Message& message, Outbox& out) {
  const Header& h = message.header;
  switch (h.kind) {
    case MessageKind::load:
      return load(message, out);
    case MessageKind::cancel:
      std::erase_if(queue_, [&](const Queued& q) {  // its close stays, and goes on round the ring
        return is_data(q.message.header.kind) && q.message.header.session == h.session;
      });
      return;
    case MessageKind::shutdown:
      options_.log("the coordinator is done");
      reset(out);
      out.finished = options_.exit_on_shutdown;
      return;
    default:
      return;  // answers of workers are not for us
  }
}

void Worker::load(const Message& message, Outbox& out) {
  CHECK(message.load.has_value());
  const Load& order = *message.load;
  validate(order.plan, source_->spec());
  if (order.you < kHeadPeer || order.you >= stage_peer(order.plan.stage_count()))
    throw Fault(FaultKind::refused, "a plan of " + std::to_string(order.plan.stage_count()) +
                                        " stages has no worker " + std::to_string(order.you));
  const Time start = now();
  plan_ = order.plan;
  self_ = order.you;
  options_.name = plan_.worker(self_).name;
  const WorkerPlan& me = plan_.worker(self_);
  if (me.device != options_.device)
    throw Fault(FaultKind::refused,
                "the plan wants the device " + me.device + " here; this is " + options_.device,
                Fix{"start the worker on that device", Setting::device});
  check_memory(order);
  check_contents(order);
  backend_ = new_backend();
  role_ = make_ring_role(*source_, plan_, self_, *backend_);
  ready_ = role_->sizes();
  ready_.load_seconds = seconds(now() - start);
  options_.log("loaded " + me.name +
               (self_ == kHeadPeer ? "" : ", layers " + range_text(me.layers)) + ": " +
               bytes_text(ready_.weight_bytes) + " of weights");
  out.identity = identity();
  if (dials_next()) out.connects.push_back({role_->next(), plan_.worker(role_->next()).endpoint});
}

// A link serves both ways: head and a lone stage need one, which the head makes.
bool Worker::dials_next() const {
  return self_ == kHeadPeer || role_->next() != kHeadPeer || plan_.stage_count() > 1;
}

bool Worker::next_up() const {
  const auto link = links_.find(role_->next());
  return link != links_.end() && link->second == incarnation_;
}

// The coordinator's copy and ours must hold the same numbers, layer by layer.
void Worker::check_contents(const Load& order) {
  const auto compare = [&](Digest theirs, Digest ours, const std::string& what) {
    if (theirs == 0 || theirs == ours) return;
    throw Fault(FaultKind::refused,
                what + " differs from the coordinator's copy (" + digest_text(ours) + " here, " +
                    digest_text(theirs) + " there)",
                Fix{"use the same file on every machine"}, where());
  };
  if (self_ == kHeadPeer)
    return compare(order.model.head, head_digest(*source_), "the head's tensors");
  const LayerRange layers = plan_.worker(self_).layers;
  for (int i = layers.begin; i < layers.end; ++i) {
    const size_t index = static_cast<size_t>(i);
    const Digest theirs = index < order.model.layers.size() ? order.model.layers[index] : 0;
    compare(theirs, layer_digest(*source_, i), "layer " + std::to_string(i));
  }
}

// As new_backend() chooses them.
Plan Worker::with_my_threads(Plan plan) const {
  const bool head = self_ == kHeadPeer;
  WorkerPlan& me = head ? plan.head : plan.stages[static_cast<size_t>(self_ - stage_peer(0))];
  if (options_.threads)
    me.threads = options_.threads;
  else if (!me.threads)
    me.threads = device_.units;
  return plan;
}

void Worker::check_memory(const Load& order) const {
  const Plan plan = with_my_threads(order.plan);
  const WorkerPlan& me = plan.worker(self_);
  const MemoryNeed need = self_ == kHeadPeer ? head_need(*source_, plan)
                                             : stage_need(*source_, plan, self_ - stage_peer(0));
  uint64_t limit = device_.bytes_free;
  if (options_.memory_bytes) limit = std::min(limit, options_.memory_bytes);
  if (me.memory_bytes) limit = std::min(limit, me.memory_bytes);
  if (need.total() > limit) throw memory_refusal(me, need, limit);
}

void Worker::report_ready(Outbox& out) {
  if (!role_ || ready_sent_ || !next_up()) return;
  Message message = to_coordinator(MessageKind::ready);
  message.ready = ready_;
  out.messages.push_back(std::move(message));
  ready_sent_ = true;
}

Message Worker::to_coordinator(MessageKind kind) const {
  Message message;
  message.header.kind = kind;
  message.header.incarnation = incarnation_;
  message.header.epoch = plan_.epoch;
  message.header.destination = kCoordinatorPeer;
  return message;
}

void Worker::fail(const Fault& fault, const Header& about, Outbox& out) {
  options_.log(std::string("fault: ") + fault.what());
  if (!coordinated_) return;
  Message message = to_coordinator(MessageKind::fault);
  message.header.session = about.session;
  message.header.attempt = about.attempt;
  message.fault = FaultReport{fault.kind(), fault.text(),
                              fault.where().empty() ? where() : fault.where(), fault.fix()};
  out.messages.push_back(std::move(message));
}

// Leaves the ring, if any, and waits for the next coordinator.
void Worker::reset(Outbox& out) {
  if (role_) out.drops.push_back(role_->next());
  queue_.clear();
  role_.reset();
  backend_.reset();
  plan_ = {};
  self_ = kUnassignedPeer;
  ready_sent_ = false;
}

}  // namespace potluck
